"""Guests' ledgers."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Select, case, literal, or_, select, tuple_

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import MoneyMovement, PaymentReturn
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, age_ms, read_all, read_page, table
from tapwire_core.domain.closed_sets import Account, PaidBy
from tapwire_core.domain.payment_facts import REVERSALS

movements: Final = table(MoneyMovement)
returns: Final = table(PaymentReturn)


class MovementKind(StrEnum):
    """Kinds of movements, seen from the guest's account."""

    TOP_UP = "top_up"
    REVERSAL = "reversal"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    COMP = "comp"
    CHARGE = "charge"
    DEPOSIT_TAKEN = "deposit_taken"
    DEPOSIT_RETURNED = "deposit_returned"
    DEPOSIT_FORFEITED = "deposit_forfeited"
    PAYMENT_REVERSED = "payment_reversed"
    WRITTEN_OFF = "written_off"


class LedgerEntry(Struct, frozen=True):
    """A movement of a guest's account; `amount_minor` is the change of the balance, 0 for a write-off or a forfeited deposit.

    `house_credit_minor`: what it gave of the house credit, negative: what it took. `reverses_movement_id`: the top-up that it
    reverses; `reversed_by_movement_id`: the movement by which it was reversed. `payment_id`: the payment at a provider.

    Of another venue's movement an operator of some venues sees account, amount and time; the rest is null.
    """

    movement_id: int
    kind: MovementKind
    amount_minor: int
    moved_minor: int
    currency: str
    method: PaidBy | None
    venue_id: str | None
    shift_id: UUID | None
    pour_id: UUID | None
    incident_id: UUID | None
    reason: str | None
    actor: str | None
    request_id: str | None
    created_at: datetime
    age_ms: int
    house_credit_minor: int
    reverses_movement_id: int | None
    reversed_by_movement_id: int | None
    payment_id: UUID | None


class Booked(LedgerEntry, frozen=True):
    """A movement with its guest."""

    guest_id: UUID


async def list_ledger(db: Database, guest_id: UUID, page: PageRequest = FIRST_PAGE) -> Page[LedgerEntry]:
    """The movements of a guest's account, the newest first."""
    statement = _ledger(db).where(movements.c.guest_id == guest_id)
    return await read_page(db, statement, LedgerEntry, [movements.c.movement_id], page, newest_first=True)


async def movements_by_id(db: Database, movement_ids: Collection[int]) -> list[LedgerEntry]:
    """These movements, in any order."""
    return await read_all(db, _ledger(db).where(movements.c.movement_id.in_(movement_ids)), LedgerEntry) if movement_ids else []


async def bookings_at(db: Database, moments: Collection[tuple[UUID, datetime]]) -> list[Booked]:
    """Read bookings on guests' accounts by guest and time; a booking has the time of its audit entry."""
    if not moments:
        return []
    booked = tuple_(movements.c.guest_id, movements.c.created_at).in_(moments)
    return await read_all(db, _ledger(db).where(booked).order_by(movements.c.movement_id), Booked)


def _ledger(db: Database) -> Select[Any]:
    reversal = movements.alias("reversal")
    reversed_by = select(reversal.c.movement_id).where(reversal.c.reverses_movement_id == movements.c.movement_id).scalar_subquery()
    debit, credit, amount = movements.c.debit_account, movements.c.credit_account, movements.c.amount_minor
    methods = [method.value for method in PaidBy]
    kind = case(
        (movements.c.reverses_movement_id.is_not(None), MovementKind.REVERSAL.value),
        (returns.c.cause.in_([cause.value for cause in REVERSALS]), MovementKind.PAYMENT_REVERSED.value),
        (debit.in_(methods), MovementKind.TOP_UP.value),
        (credit.in_(methods), MovementKind.REFUND.value),
        (debit == Account.COMP.value, MovementKind.COMP.value),
        (or_(debit == Account.ADJUSTMENT.value, credit == Account.ADJUSTMENT.value), MovementKind.ADJUSTMENT.value),
        (credit == Account.DEPOSIT.value, MovementKind.DEPOSIT_TAKEN.value),
        (credit == Account.DEPOSIT_FORFEITED.value, MovementKind.DEPOSIT_FORFEITED.value),
        (debit == Account.DEPOSIT.value, MovementKind.DEPOSIT_RETURNED.value),
        (debit == Account.GUEST.value, MovementKind.CHARGE.value),
        else_=MovementKind.WRITTEN_OFF.value,
    )
    return select(
        *(column for column in movements.c if column.name != "amount_minor"),
        kind.label("kind"),
        case((credit == Account.GUEST.value, amount), (debit == Account.GUEST.value, -amount), else_=0).label("amount_minor"),
        amount.label("moved_minor"),
        literal(db.policy.currency).label("currency"),
        case((debit.in_(methods), debit), (credit.in_(methods), credit)).label("method"),
        reversed_by.label("reversed_by_movement_id"),
        age_ms(movements.c.created_at).label("age_ms"),
    ).outerjoin_from(movements, returns, returns.c.return_id == movements.c.payment_return_id)
