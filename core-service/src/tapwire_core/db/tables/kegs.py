"""Kegs, and the stock movements that determine their book volumes."""

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
    reference,
    serial,
    string,
)
from tapwire_core.domain.closed_sets import KegStatus, StockKind


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
    """A keg and its remaining book volume, which is negative when meters and books disagree."""

    __tablename__ = "kegs"
    __table_args__: Any = (
        CheckConstraint("initial_volume_ml >= 1", name="initial_volume_positive"),
        closed_set("status", KegStatus),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    keg_id: UUID = key()
    venue_id: str = reference("venues.venue_id", index=True)
    beverage_id: UUID = reference("beverages.beverage_id", index=True)
    status: str = string(default=KegStatus.IN_STOCK)
    initial_volume_ml: int = number()
    book_volume_ml: int = number()
    created_at: datetime = default_now()
