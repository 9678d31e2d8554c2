"""Shifts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    flag,
    key,
    number,
    optional_json_object,
    optional_time,
    reference,
    serial,
    string,
)
from tapwire_core.domain.closed_sets import ShiftStatus


class Shift(SQLModel, table=True):
    """The operators' working period at a venue. `count_cash`: as the venue had it when the shift opened."""

    __tablename__ = "shifts"
    __table_args__ = (
        closed_set("status", ShiftStatus),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed_has_time"),
        Index("uq_shifts_one_open_per_venue", "venue_id", unique=True, postgresql_where="status = 'open'"),
    )

    shift_id: UUID = key()
    venue_id: str = reference("venues.venue_id", index=True)
    status: str = string(default=ShiftStatus.OPEN)
    count_cash: bool = flag()
    opened_at: datetime = default_now()
    opened_by: str = string()
    closed_at: datetime | None = optional_time()
    closed_by: str | None = string()
    z_report: dict[str, Any] | None = optional_json_object()
    z_report_at: datetime | None = optional_time()
    z_report_by: str | None = string()


class ShiftCount(SQLModel, table=True):
    """A count of a shift's drawer, append-only. `over_short_minor`: counted less expected; below 0 where cash is missing."""

    __tablename__ = "shift_counts"
    __table_args__ = (
        CheckConstraint("counted_minor >= 0", name="counted_not_negative"),
        CheckConstraint("over_short_minor = counted_minor - expected_minor", name="difference"),
        Index("ix_shift_counts_shift", "shift_id", "count_id"),
    )

    count_id: int | None = serial()
    shift_id: UUID = reference("shifts.shift_id")
    venue_id: str = reference("venues.venue_id")
    counted_minor: int = number()
    expected_minor: int = number()
    over_short_minor: int = number()
    reason: str | None = string()
    counted_by: str = string()
    counted_at: datetime = default_now()
