"""Shifts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    key,
    made_now,
    moment,
    optional_document,
    reference,
    words,
)
from tapwire_core.domain.closed_sets import ShiftStatus


class Shift(SQLModel, table=True):
    """The operators' working period at a venue."""

    __tablename__ = "shifts"
    __table_args__ = (
        closed_set("status", ShiftStatus),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed_has_time"),
        Index("uq_shifts_one_open_per_venue", "venue_id", unique=True, postgresql_where="status = 'open'"),
    )

    shift_id: UUID = key()
    venue_id: str = reference("venues.venue_id", index=True)
    status: str = words(default=ShiftStatus.OPEN)
    opened_at: datetime = made_now()
    opened_by: str = words()
    closed_at: datetime | None = moment()
    closed_by: str | None = words()
    z_report: dict[str, Any] | None = optional_document()
    z_report_at: datetime | None = moment()
    z_report_by: str | None = words()
