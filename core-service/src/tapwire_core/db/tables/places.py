"""Venues, and what stands in them: taps, kegs, beverages."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import closed_set, flag, key, made_now, moment, number, optional_reference, reference, words
from tapwire_core.domain.words import KegStatus, TapStatus


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


class Beverage(SQLModel, table=True):
    """What a keg holds, and its price now."""

    __tablename__ = "beverages"
    __table_args__ = (
        CheckConstraint("sell_price_per_liter_minor >= 1", name="price_positive"),
        CheckConstraint("abv BETWEEN 0 AND 100", name="abv_percent"),
    )

    beverage_id: UUID = key()
    name: str = words()
    style: str | None = words()
    abv: Decimal | None = Field(default=None, sa_type=Numeric(5, 2))
    sell_price_per_liter_minor: int = number()
    archived_at: datetime | None = moment()
    created_at: datetime = made_now()


class Keg(SQLModel, table=True):
    """A keg and the book volume that is left in it; below zero when meters and books disagree."""

    __tablename__ = "kegs"
    __table_args__: Any = (
        CheckConstraint("initial_volume_ml >= 1", name="initial_volume_positive"),
        closed_set("status", KegStatus),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    keg_id: UUID = key()
    venue_id: str = reference("venues.venue_id", index=True)
    beverage_id: UUID = reference("beverages.beverage_id", index=True)
    status: str = words(default=KegStatus.IN_STOCK)
    initial_volume_ml: int = number()
    book_volume_ml: int = number()
    created_at: datetime = made_now()


class Tap(SQLModel, table=True):
    """A tap; the row every decision about it is serialised on."""

    __tablename__ = "taps"
    __table_args__: Any = (
        closed_set("status", TapStatus),
        CheckConstraint("tap_path = venue_id || '/taps/' || tap_id", name="path_is_venue_and_tap"),
        CheckConstraint("pulses_per_liter BETWEEN 1 AND 1000000", name="pulses_per_liter_sane"),
        CheckConstraint("max_pour_ml >= 1", name="max_pour_positive"),
        Index("uq_taps_keg_id", "keg_id", unique=True, postgresql_where="keg_id IS NOT NULL"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    tap_path: str = key()
    venue_id: str = reference("venues.venue_id", index=True)
    tap_id: str = words()
    name: str = words()
    status: str = words(default=TapStatus.ACTIVE)
    status_reason: str | None = words()
    pulses_per_liter: int = number(default=450)
    max_pour_ml: int = number(default=1000)
    keg_id: UUID | None = optional_reference("kegs.keg_id")
    config_revision: int = number(default=1)
    created_at: datetime = made_now()
