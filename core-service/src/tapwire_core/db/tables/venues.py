"""Venues."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import flag, key, made_now, number, words


class Venue(SQLModel, table=True):
    """A place with taps; one open shift at a time."""

    __tablename__ = "venues"
    __table_args__ = (CheckConstraint("legal_age BETWEEN 0 AND 120", name="legal_age_sane"),)

    venue_id: str = key()
    name: str = words()
    time_zone: str = words()
    legal_age: int = number(default=18)
    emergency_stop: bool = flag()
    emergency_stop_reason: str | None = words()
    created_at: datetime = made_now()
