"""Payments by guests at a provider, for staff."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Select, func, literal, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Guest, Payment, PaymentReturn
from tapwire_core.db.views.guests import full_name
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_page, table
from tapwire_core.domain.closed_sets import PaymentProviderName, PaymentStatus, ReturnStatus
from tapwire_core.domain.payment_facts import REVERSALS

payments: Final = table(Payment)
returns: Final = table(PaymentReturn)
guests: Final = table(Guest)


class PaymentView(Struct, frozen=True, kw_only=True):
    """A payment. `booked_minor`: what of it was credited to the guest. `provider_id`: the provider's id of its page to pay.

    `refunded_minor` went back by refunds of ours, `refund_due_minor` is still to go back, and `refund_failure` says what the
    provider said to it last. `reversed_minor`: what the provider took back, and has not given back.
    """

    payment_id: UUID
    provider: PaymentProviderName
    provider_id: str | None
    status: PaymentStatus
    guest_id: UUID
    guest_name: str
    visit_id: UUID
    venue_id: str
    amount_minor: int
    booked_minor: int
    refunded_minor: int
    refund_due_minor: int
    refund_failure: str | None
    reversed_minor: int
    currency: str
    created_at: datetime
    paid_at: datetime | None
    ended_at: datetime | None


async def list_payments(
    db: Database, *, status: PaymentStatus | None = None, guest_id: UUID | None = None, page: PageRequest = FIRST_PAGE
) -> Page[PaymentView]:
    """Payments, the latest first."""
    statement = _payments(db)
    if status is not None:
        statement = statement.where(payments.c.status == status.value)
    if guest_id is not None:
        statement = statement.where(payments.c.guest_id == guest_id)
    order = [payments.c.created_at, payments.c.payment_id]
    return await read_page(db, statement, PaymentView, order, page, newest_first=True)


def _payments(db: Database) -> Select[Any]:
    reversal = returns.c.cause.in_([cause.value for cause in REVERSALS])
    done, due = returns.c.status == ReturnStatus.DONE.value, returns.c.status == ReturnStatus.DUE.value
    failure = select(func.max(returns.c.failure)).where(
        returns.c.payment_id == payments.c.payment_id, returns.c.status != ReturnStatus.DONE.value
    )
    names = ("payment_id", "provider", "provider_id", "status", "guest_id", "visit_id", "venue_id", "amount_minor", "booked_minor")
    return select(
        *(payments.c[name] for name in (*names, "created_at", "paid_at", "ended_at")),
        full_name().label("guest_name"),
        _sum(done & ~reversal).label("refunded_minor"),
        _sum(due).label("refund_due_minor"),
        _sum(done & reversal).label("reversed_minor"),
        failure.scalar_subquery().label("refund_failure"),
        literal(db.policy.currency).label("currency"),
    ).join(guests, guests.c.guest_id == payments.c.guest_id)


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """What went back of a payment by the returns of a kind."""
    found = select(func.coalesce(func.sum(returns.c.amount_minor), 0).cast(BigInteger))
    return found.where(returns.c.payment_id == payments.c.payment_id, condition).scalar_subquery()
