"""Venues."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import closed_set, default_now, flag, key, number, string
from tapwire_core.domain.closed_sets import ServingMeasure, VolumeUnit


class Venue(SQLModel, table=True):
    """A place with taps; it has at most one open shift.

    `serving_limit`: for each patron of a visit, in millilitres or, by ethanol, in milligrams; null: no limit.
    `count_cash`: shifts opened from now on count their drawer. `glass_ml`: the glass whose price is shown beside that of a litre.
    `operator_refund_limit_minor`: what an operator without a higher role may pay out to one guest in one shift.
    `max_balance_minor`: a payment by telephone tops a guest's balance up to so much; null: no limit.
    `public_menu`: everybody may read its tap list.
    `visit_hours`: how long a visit lasts from its opening; null: until it is closed. `card_deposit_minor`: for each bound card.
    `keg_low_percent`: at so much of its volume, or less, a keg is as good as empty; `keg_low_minutes`: so long before it is empty.
    """

    __tablename__ = "venues"
    __table_args__: Any = (
        CheckConstraint("legal_age BETWEEN 0 AND 120", name="legal_age_sane"),
        closed_set("serving_limit_measure", ServingMeasure),
        CheckConstraint(
            "(serving_limit_measure IS NULL) = (serving_limit IS NULL)"
            " AND (serving_limit_window_minutes IS NULL OR serving_limit_measure IS NOT NULL)",
            name="serving_limit_whole",
        ),
        CheckConstraint("serving_limit >= 1 AND serving_limit_window_minutes >= 1", name="serving_limit_positive"),
        CheckConstraint("visit_hours BETWEEN 1 AND 8760", name="visit_hours_sane"),
        CheckConstraint("card_deposit_minor BETWEEN 0 AND 100000000", name="card_deposit_sane"),
        CheckConstraint("glass_ml BETWEEN 1 AND 10000", name="glass_sane"),
        closed_set("volume_unit", VolumeUnit),
        CheckConstraint("operator_refund_limit_minor >= 0", name="refund_limit_not_negative"),
        CheckConstraint("max_balance_minor >= 0", name="max_balance_not_negative"),
        CheckConstraint("keg_low_percent BETWEEN 0 AND 100", name="keg_low_percent_sane"),
        CheckConstraint("keg_low_minutes BETWEEN 0 AND 1440", name="keg_low_minutes_sane"),
    )

    venue_id: str = key()
    name: str = string()
    time_zone: str = string()
    legal_age: int = number(default=18)
    serving_limit_measure: str | None = string()
    serving_limit: int | None = number()
    serving_limit_window_minutes: int | None = number()
    minors_allowed: bool = flag()
    count_cash: bool = flag()
    visit_hours: int | None = number()
    card_deposit_minor: int = number(default=0)
    glass_ml: int = number(default=500)
    volume_unit: str = string(default=VolumeUnit.ML)
    operator_refund_limit_minor: int = number(default=0)
    max_balance_minor: int | None = number()
    keg_low_percent: int = number(default=15)
    keg_low_minutes: int = number(default=60)
    public_menu: bool = flag()
    emergency_stop: bool = flag()
    emergency_stop_reason: str | None = string()
    created_at: datetime = default_now()
