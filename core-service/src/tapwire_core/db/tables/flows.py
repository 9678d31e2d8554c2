"""Flows without a grant."""

from datetime import datetime
from uuid import UUID

from sqlmodel import SQLModel

from tapwire_contracts.reasons import FlowCause
from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    key,
    number,
    optional_reference,
    reference,
    string,
)
from tapwire_core.domain.closed_sets import StockKind


class Flow(SQLModel, table=True):
    """Beer that flowed without a grant, as reported by its tap node."""

    __tablename__ = "flows"
    __table_args__ = (closed_set("cause", FlowCause),)

    tap_path: str = key("taps.tap_path")
    event_id: UUID = key()
    cause: str = string()
    volume_ml: int = number()
    duration_ms: int = number()
    card_uid: str | None = string()
    keg_id: UUID | None = optional_reference("kegs.keg_id")
    venue_id: str = reference("venues.venue_id")
    stock_kind: str = string(default=StockKind.UNATTRIBUTED)
    recorded_at: datetime = default_now()
