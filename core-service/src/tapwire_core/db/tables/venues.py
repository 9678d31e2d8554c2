"""Venues."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import default_now, flag, key, number, string


class Venue(SQLModel, table=True):
    """A place with taps; it has at most one open shift."""

    __tablename__ = "venues"
    __table_args__ = (CheckConstraint("legal_age BETWEEN 0 AND 120", name="legal_age_sane"),)

    venue_id: str = key()
    name: str = string()
    time_zone: str = string()
    legal_age: int = number(default=18)
    emergency_stop: bool = flag()
    emergency_stop_reason: str | None = string()
    created_at: datetime = default_now()
