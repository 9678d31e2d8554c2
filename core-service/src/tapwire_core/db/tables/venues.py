"""Venues."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import closed_set, default_now, flag, key, number, string
from tapwire_core.domain.closed_sets import VolumeUnit


class Venue(SQLModel, table=True):
    """A place with taps; it has at most one open shift. `glass_ml`: the glass whose price is shown beside that of a litre."""

    __tablename__ = "venues"
    __table_args__ = (
        CheckConstraint("legal_age BETWEEN 0 AND 120", name="legal_age_sane"),
        CheckConstraint("glass_ml BETWEEN 1 AND 10000", name="glass_sane"),
        closed_set("volume_unit", VolumeUnit),
    )

    venue_id: str = key()
    name: str = string()
    time_zone: str = string()
    legal_age: int = number(default=18)
    glass_ml: int = number(default=500)
    volume_unit: str = string(default=VolumeUnit.ML)
    emergency_stop: bool = flag()
    emergency_stop_reason: str | None = string()
    created_at: datetime = default_now()
