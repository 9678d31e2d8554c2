"""Guests and their accounts."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import (
    flag,
    key,
    made_now,
    moment,
    number,
    words,
)


class Guest(SQLModel, table=True):
    """A person with an account; `balance_minor` is the cached sum of the movements, `held_minor` of the pending holds."""

    __tablename__ = "guests"
    __table_args__: Any = (
        CheckConstraint("balance_minor >= held_minor AND held_minor >= 0", name="balance_covers_holds"),
        Index("ix_guests_created", "created_at", "guest_id"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    guest_id: UUID = key()
    first_name: str = words()
    last_name: str | None = words()
    phone: str | None = Field(default=None, index=True)
    birth_date: date | None = None
    age_checked_by: str | None = words()
    age_checked_at: datetime | None = moment()
    blocked: bool = flag()
    balance_minor: int = number(default=0)
    held_minor: int = number(default=0)
    created_at: datetime = made_now()
