"""Money movements, append-only: written in the transaction of their cause. A correction is a new row."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import closed_set, default_now, number, optional_reference, serial, string
from tapwire_core.domain.closed_sets import Account


class MoneyMovement(SQLModel, table=True):
    """An amount from one account to another. `guest_id` is the guest of account `guest`.

    `house_credit_minor`: what it gave of the guest's house credit, negative: what it took. A top-up is reversed once at most.
    `count_id`: the count of the drawer that booked it. A payment at a provider is booked once, and so is each of its returns.
    """

    __tablename__ = "money_movements"
    __table_args__ = (
        closed_set("debit_account", Account),
        closed_set("credit_account", Account),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("debit_account <> credit_account", name="two_sides"),
        CheckConstraint(
            "(debit_account <> 'guest' AND credit_account <> 'guest') OR guest_id IS NOT NULL",
            name="guest_account_has_guest",
        ),
        CheckConstraint("abs(house_credit_minor) <= amount_minor", name="house_credit_within"),
        Index(
            "uq_money_movements_reversed",
            "reverses_movement_id",
            unique=True,
            postgresql_where="reverses_movement_id IS NOT NULL",
        ),
        Index(
            "uq_money_movements_payment",
            "payment_id",
            unique=True,
            postgresql_where="payment_id IS NOT NULL AND payment_return_id IS NULL",
        ),
        Index(
            "uq_money_movements_payment_return",
            "payment_return_id",
            "debit_account",
            "credit_account",
            unique=True,
            postgresql_where="payment_return_id IS NOT NULL",
        ),
        Index("ix_money_movements_guest", "guest_id", "movement_id"),
        Index("ix_money_movements_shift", "shift_id"),
        Index("ix_money_movements_created_at", "created_at", postgresql_using="brin"),
        Index("ix_money_movements_incident", "incident_id", postgresql_where="incident_id IS NOT NULL"),
        Index("ix_money_movements_pour", "pour_id", postgresql_where="pour_id IS NOT NULL"),
    )

    movement_id: int | None = serial()
    debit_account: str = string()
    credit_account: str = string()
    amount_minor: int = number()
    guest_id: UUID | None = optional_reference("guests.guest_id")
    venue_id: str | None = optional_reference("venues.venue_id")
    shift_id: UUID | None = optional_reference("shifts.shift_id")
    pour_id: UUID | None = optional_reference("pours.pour_id")
    incident_id: UUID | None = None
    house_credit_minor: int = number(default=0)
    reverses_movement_id: int | None = Field(default=None, foreign_key="money_movements.movement_id", sa_type=BigInteger)
    count_id: int | None = number()
    payment_id: UUID | None = optional_reference("payments.payment_id")
    payment_return_id: UUID | None = optional_reference("payment_returns.return_id")
    reason: str | None = string()
    actor: str = string()
    request_id: str | None = Field(default=None)
    created_at: datetime = default_now()
