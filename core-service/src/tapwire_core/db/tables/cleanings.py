"""Cleanings of taps."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import closed_set, default_now, number, reference, serial, string
from tapwire_core.domain.closed_sets import CleaningKind


class TapCleaning(SQLModel, table=True):
    """A cleaning of a tap's line, append-only. One that the tap measured has its flow's event and volume, and nobody's name."""

    __tablename__ = "tap_cleanings"
    __table_args__: Any = (
        closed_set("kind", CleaningKind),
        CheckConstraint("(kind IS NULL) = (event_id IS NOT NULL)", name="typed_or_measured"),
        CheckConstraint("(event_id IS NULL) = (volume_ml IS NULL)", name="measured_has_volume"),
        CheckConstraint("(kind IS NULL) = (cleaned_by IS NULL)", name="typed_by_somebody"),
        Index("ix_tap_cleanings_tap", "tap_path", "cleaned_at", "cleaning_id"),
        Index("uq_tap_cleanings_event", "tap_path", "event_id", unique=True, postgresql_where="event_id IS NOT NULL"),
    )

    cleaning_id: int | None = serial()
    tap_path: str = reference("taps.tap_path")
    venue_id: str = reference("venues.venue_id")
    kind: str | None = string()
    note: str | None = string()
    event_id: UUID | None = Field(default=None)
    volume_ml: int | None = number()
    cleaned_by: str | None = string()
    cleaned_at: datetime = default_now()
