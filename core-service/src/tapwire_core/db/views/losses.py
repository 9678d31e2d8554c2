"""What left the kegs in a period, and what became of it: sold, or lost in one of the ways that the books know."""

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Select, and_, case, cast, func, select

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.views.queries import read_all
from tapwire_core.db.views.shift_reports import VOLUME_FIELDS, pours, stock
from tapwire_core.domain.closed_sets import StockKind


class Volumes(Struct, frozen=True, kw_only=True):
    """Millilitres that left the kegs, by what became of them; corrections may be negative."""

    sold_ml: int = 0
    written_off_ml: int = 0
    rejected_ml: int = 0
    unattributed_ml: int = 0
    corrected_ml: int = 0
    line_cleaning_ml: int = 0


class _Sum(Struct, frozen=True):
    field: str
    volume_ml: int


async def report_volumes(db: Database, venue_id: str, since: datetime, until: datetime) -> Volumes:
    """What left a venue's kegs from a moment up to, and without, another."""
    sums = await read_all(db, _sums(venue_id, since, until), _Sum)
    return Volumes(**{row.field: row.volume_ml for row in sums})


def _sums(venue_id: str, since: datetime, until: datetime) -> Select[Any]:
    of_rejected = and_(stock.c.kind == StockKind.OVERPOUR.value, pours.c.sync_status == SyncStatus.REJECTED.value)
    field = case((of_rejected, "rejected_ml"), *((stock.c.kind == kind.value, name) for kind, name in VOLUME_FIELDS.items()))
    return (
        select(field.label("field"), cast(func.sum(stock.c.volume_ml), BigInteger).label("volume_ml"))
        .outerjoin(pours, pours.c.pour_id == stock.c.cause_id)
        .where(stock.c.venue_id == venue_id, stock.c.created_at >= since, stock.c.created_at < until)
        .group_by(field)
    )
