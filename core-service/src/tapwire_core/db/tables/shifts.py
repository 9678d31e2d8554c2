"""Shifts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    key,
    optional_json_object,
    optional_time,
    reference,
    string,
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
    status: str = string(default=ShiftStatus.OPEN)
    opened_at: datetime = default_now()
    opened_by: str = string()
    closed_at: datetime | None = optional_time()
    closed_by: str | None = string()
    z_report: dict[str, Any] | None = optional_json_object()
    z_report_at: datetime | None = optional_time()
    z_report_by: str | None = string()
