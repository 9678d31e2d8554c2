"""Volumes that left the kegs, by kind: sold, lost, corrected, or used for cleaning."""

from datetime import datetime
from typing import Any, Final, assert_never

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, cast, func, select

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Pour, StockMovement
from tapwire_core.db.views.queries import read_all, table
from tapwire_core.domain.closed_sets import StockKind

stock: Final = table(StockMovement)
pours: Final = table(Pour)


class LostVolumes:
    """Mixin for sums of volumes: the one definition of lost beer."""

    written_off_ml: int
    rejected_ml: int
    unattributed_ml: int
    yield_loss_ml: int
    spoiled_ml: int

    @property
    def lost_ml(self) -> int:
        """Beer that nobody paid for."""
        return self.written_off_ml + self.rejected_ml + self.unattributed_ml + self.yield_loss_ml + self.spoiled_ml


class Volumes(Struct, LostVolumes, frozen=True, kw_only=True):
    """Millilitres that left the kegs, by kind; corrections may be negative."""

    sold_ml: int = 0
    written_off_ml: int = 0
    rejected_ml: int = 0
    unattributed_ml: int = 0
    corrected_ml: int = 0
    line_cleaning_ml: int = 0
    yield_loss_ml: int = 0
    spoiled_ml: int = 0
    returned_ml: int = 0


class _VolumeSum(Struct, frozen=True):
    field: str
    volume_ml: int


async def report_volumes(db: Database, venue_id: str, since: datetime, until: datetime) -> Volumes:
    """Sum up the volumes that left a venue's kegs in a period; `until` is exclusive."""
    sums = await read_all(db, _sums(venue_id, since, until), _VolumeSum)
    return Volumes(**{row.field: row.volume_ml for row in sums})


def volume_field() -> ColumnElement[Any]:
    """The field of `Volumes` that a stock movement counts in; for statements that join the movement's pour."""
    of_rejected = and_(stock.c.kind == StockKind.OVERPOUR.value, pours.c.sync_status == SyncStatus.REJECTED.value)
    return case((of_rejected, "rejected_ml"), *((stock.c.kind == kind.value, field_of(kind)) for kind in StockKind))


def field_of(kind: StockKind) -> str:
    """The field of `Volumes` that a kind counts in, but for the overpour of a rejected pour."""
    match kind:
        case StockKind.SALE:
            return "sold_ml"
        case StockKind.OVERPOUR:
            return "written_off_ml"
        case StockKind.UNATTRIBUTED:
            return "unattributed_ml"
        case StockKind.CORRECTION:
            return "corrected_ml"
        case StockKind.LINE_CLEANING:
            return "line_cleaning_ml"
        case StockKind.YIELD_LOSS:
            return "yield_loss_ml"
        case StockKind.SPOILED:
            return "spoiled_ml"
        case StockKind.RETURNED:
            return "returned_ml"
        case _:
            assert_never(kind)


def _sums(venue_id: str, since: datetime, until: datetime) -> Select[Any]:
    field = volume_field()
    return (
        select(field.label("field"), cast(func.sum(stock.c.volume_ml), BigInteger).label("volume_ml"))
        .outerjoin(pours, pours.c.pour_id == stock.c.cause_id)
        .where(stock.c.venue_id == venue_id, stock.c.created_at >= since, stock.c.created_at < until)
        .group_by(field)
    )
