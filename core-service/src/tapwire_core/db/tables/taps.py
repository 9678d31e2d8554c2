"""Taps."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    key,
    number,
    optional_reference,
    optional_time,
    reference,
    string,
)
from tapwire_core.domain.closed_sets import TapStatus


class Tap(SQLModel, table=True):
    """A tap; its row lock serialises all decisions about it.

    `identity_conflict_at`: when two nodes with its login were last proved to be there; null while there is no conflict.
    `cleaning_interval_set_at`: the start of the interval of a tap that was never cleaned.
    `room`: the part of the venue where it is.
    `price_shown`: the price rule that its config was last published for, with price and end; null for the list price.
    """

    __tablename__ = "taps"
    __table_args__: Any = (
        closed_set("status", TapStatus),
        CheckConstraint("tap_path = venue_id || '/taps/' || tap_id", name="path_is_venue_and_tap"),
        CheckConstraint("pulses_per_liter BETWEEN 1 AND 1000000", name="pulses_per_liter_sane"),
        CheckConstraint("max_pour_ml >= 1", name="max_pour_positive"),
        CheckConstraint("cleaning_interval_days BETWEEN 1 AND 366", name="cleaning_interval_sane"),
        CheckConstraint("(cleaning_interval_days IS NULL) = (cleaning_interval_set_at IS NULL)", name="cleaning_interval_set"),
        Index("uq_taps_keg_id", "keg_id", unique=True, postgresql_where="keg_id IS NOT NULL"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    tap_path: str = key()
    venue_id: str = reference("venues.venue_id", index=True)
    tap_id: str = string()
    name: str = string()
    room: str | None = string()
    status: str = string(default=TapStatus.ACTIVE)
    status_reason: str | None = string()
    pulses_per_liter: int = number(default=450)
    max_pour_ml: int = number(default=1000)
    keg_id: UUID | None = optional_reference("kegs.keg_id")
    cleaning_interval_days: int | None = number()
    cleaning_interval_set_at: datetime | None = optional_time()
    last_cleaned_at: datetime | None = optional_time()
    config_revision: int = number(default=1)
    price_shown: str | None = string()
    identity_conflict_at: datetime | None = optional_time()
    created_at: datetime = default_now()
