"""Guests and their accounts."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import (
    default_now,
    flag,
    key,
    number,
    optional_time,
    string,
)


class Guest(SQLModel, table=True):
    """A person with an account; `balance_minor` is the cached sum of the movements, `held_minor` of the pending holds.

    `house_credit_minor` is the cached sum of what movements gave and took of it. A guest without a name is known by the card.
    `erased_at`: from then on nothing says who it was. `erasure_due_at`: a restore brought back a guest who had been erased, and
    with whom something was not settled then; the names are gone, the erasure is made when it is.
    """

    __tablename__ = "guests"
    __table_args__: Any = (
        CheckConstraint("balance_minor >= held_minor AND held_minor >= 0", name="balance_covers_holds"),
        CheckConstraint("house_credit_minor >= 0", name="house_credit_not_negative"),
        CheckConstraint(
            "(erased_at IS NULL AND erasure_due_at IS NULL) OR "
            "(first_name IS NULL AND last_name IS NULL AND phone IS NULL AND birth_date IS NULL)",
            name="erased_is_nobody",
        ),
        Index("ix_guests_created", "created_at", "guest_id"),
        Index("ix_guests_erased", "erased_at", postgresql_where="erased_at IS NOT NULL"),
        Index("ix_guests_erasure_due", "guest_id", postgresql_where="erasure_due_at IS NOT NULL"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    guest_id: UUID = key()
    first_name: str | None = string()
    last_name: str | None = string()
    phone: str | None = Field(default=None, index=True)
    birth_date: date | None = None
    age_checked_by: str | None = string()
    age_checked_at: datetime | None = optional_time()
    blocked: bool = flag()
    balance_minor: int = number(default=0)
    held_minor: int = number(default=0)
    house_credit_minor: int = number(default=0)
    created_at: datetime = default_now()
    erased_at: datetime | None = optional_time()
    erasure_due_at: datetime | None = optional_time()
