"""Kegs, and the stock movements that determine their book volumes."""

from datetime import date, datetime
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
    serial,
    string,
)
from tapwire_core.domain.closed_sets import KegFinish, KegStatus, StockKind


class StockMovement(SQLModel, table=True):
    """A volume taken from a keg's book volume; negative for a reversal. `cause_id` is the pour, flow or stretch."""

    __tablename__ = "stock_movements"
    __table_args__ = (
        closed_set("kind", StockKind),
        CheckConstraint("volume_ml <> 0", name="volume_moves"),
        Index("ix_stock_movements_keg", "keg_id", "movement_id"),
        Index("ix_stock_movements_shift", "shift_id"),
        Index("ix_stock_movements_cause", "cause_id"),
    )

    movement_id: int | None = serial()
    keg_id: UUID = reference("kegs.keg_id")
    kind: str = string()
    volume_ml: int = number()
    venue_id: str = reference("venues.venue_id")
    tap_path: str | None = optional_reference("taps.tap_path")
    shift_id: UUID | None = optional_reference("shifts.shift_id")
    cause_id: UUID | None = None
    reason: str | None = string()
    actor: str = string()
    created_at: datetime = default_now()


class Keg(SQLModel, table=True):
    """A keg and its remaining book volume, which is negative when meters and books disagree.

    `cost_minor` is what was paid for it, `keg_deposit_minor` what the supplier gives back for the empty keg. `tapped_at`: first
    on a tap; `on_tap_since`: on its present tap; `on_tap_before_s`: seconds on taps before that. `finish` says what became of it
    when it came off its last tap; with `finished_at` it is finished for good, and `apply_together` keeps its book volume at 0.
    """

    __tablename__ = "kegs"
    __table_args__: Any = (
        CheckConstraint("initial_volume_ml >= 1", name="initial_volume_positive"),
        closed_set("status", KegStatus),
        closed_set("finish", KegFinish),
        CheckConstraint("cost_minor >= 0", name="cost_not_negative"),
        CheckConstraint("keg_deposit_minor >= 0", name="keg_deposit_not_negative"),
        CheckConstraint("finished_at IS NULL OR status = 'retired'", name="finished_is_retired"),
        CheckConstraint(
            "(finished_at IS NOT NULL) = coalesce(finish IN ('kicked', 'spoiled', 'returned'), false)", name="finish_has_time"
        ),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    keg_id: UUID = key()
    venue_id: str = reference("venues.venue_id", index=True)
    beverage_id: UUID = reference("beverages.beverage_id", index=True)
    status: str = string(default=KegStatus.IN_STOCK)
    initial_volume_ml: int = number()
    book_volume_ml: int = number()
    supplier: str | None = string()
    batch: str | None = string()
    best_before: date | None = None
    cost_minor: int | None = number()
    keg_deposit_minor: int | None = number()
    tapped_at: datetime | None = optional_time()
    on_tap_since: datetime | None = optional_time()
    on_tap_before_s: int = number(default=0)
    finish: str | None = string()
    finish_reason: str | None = string()
    finished_at: datetime | None = optional_time()
    created_at: datetime = default_now()
