"""Payments by guests at a payment provider, what goes back of them, and what the provider `test` keeps in place of a company."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    json_list,
    json_object,
    key,
    number,
    optional_time,
    reference,
    string,
)
from tapwire_core.domain.closed_sets import PaymentProviderName, PaymentStatus, ReturnCause, ReturnStatus


class Payment(SQLModel, table=True):
    """A guest's payment. `provider_id`: the provider's id of its page to pay; null until that is known.

    `charge_id`: the provider's id of what was paid, by which it names refunds and disputes. `booked_minor`: what of it was credited
    to the guest. `checkout_url`: where to pay, while it is pending. `ask_at`: when the provider is asked about it next.
    """

    __tablename__ = "payments"
    __table_args__ = (
        closed_set("provider", PaymentProviderName),
        closed_set("status", PaymentStatus),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("booked_minor BETWEEN 0 AND amount_minor", name="booked_within"),
        CheckConstraint("(paid_at IS NULL) = (status IN ('pending', 'expired'))", name="paid_at_when_paid"),
        CheckConstraint("paid_at IS NOT NULL OR booked_minor = 0", name="only_paid_is_booked"),
        Index("uq_payments_provider_id", "provider", "provider_id", unique=True, postgresql_where="provider_id IS NOT NULL"),
        Index("uq_payments_charge_id", "provider", "charge_id", unique=True, postgresql_where="charge_id IS NOT NULL"),
        Index("ix_payments_created", "created_at", "payment_id"),
        Index("ix_payments_guest", "guest_id", "created_at"),
        Index("ix_payments_ask", "ask_at", postgresql_where="ask_at IS NOT NULL"),
    )

    payment_id: UUID = key()
    provider: str = string()
    provider_id: str | None = string()
    charge_id: str | None = string()
    guest_id: UUID = reference("guests.guest_id")
    visit_id: UUID = reference("visits.visit_id")
    venue_id: str = reference("venues.venue_id")
    amount_minor: int = number()
    booked_minor: int = number(default=0)
    status: str = string(default=PaymentStatus.PENDING)
    checkout_url: str | None = string()
    ask_at: datetime | None = optional_time()
    created_at: datetime = default_now()
    paid_at: datetime | None = optional_time()
    ended_at: datetime | None = optional_time()


class PaymentReturn(SQLModel, table=True):
    """Money of a payment that goes back: a reversal at the provider, or a refund of ours through it, done once.

    `provider_id`: the provider's id of the refund or dispute. `try_at`: when a refund of ours is asked for next; `failure`: what
    the provider said last.
    """

    __tablename__ = "payment_returns"
    __table_args__ = (
        closed_set("cause", ReturnCause),
        closed_set("status", ReturnStatus),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("(try_at IS NOT NULL) = (status = 'due')", name="due_is_tried"),
        Index(
            "uq_payment_returns_provider_id", "payment_id", "provider_id", unique=True, postgresql_where="provider_id IS NOT NULL"
        ),
        Index("ix_payment_returns_payment", "payment_id"),
        Index("ix_payment_returns_try", "try_at", postgresql_where="try_at IS NOT NULL"),
    )

    return_id: UUID = key()
    payment_id: UUID = reference("payments.payment_id")
    venue_id: str = reference("venues.venue_id")
    cause: str = string()
    provider_id: str | None = string()
    amount_minor: int = number()
    status: str = string()
    attempts: int = number(default=0)
    try_at: datetime | None = optional_time()
    failure: str | None = string()
    created_at: datetime = default_now()
    ended_at: datetime | None = optional_time()


class SimulatedCheckout(SQLModel, table=True):
    """A page to pay of the provider `test`, as a provider would keep it. `secret` signs its notifications.

    `ids`: what it was told at the beginning, which says nothing to a provider.
    """

    __tablename__ = "simulated_checkouts"

    provider_id: str = key()
    payment_id: UUID
    amount_minor: int = number()
    state: str = string()
    return_url: str = string()
    secret: str = string()
    ids: dict[str, Any] = json_object()
    returns: list[Any] = json_list()
    created_at: datetime = default_now()
