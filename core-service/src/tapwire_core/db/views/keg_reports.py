"""Kegs of a period with their yield, losses and margin, the same by beverage, and one keg's book volume over time.

A keg's sums are those of its whole life, not of the period: only they say what it gave.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, cast, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, Keg, MoneyMovement, Pour, StockMovement, Tap
from tapwire_core.db.views.kegs import KegView, get_keg
from tapwire_core.db.views.queries import read_all, table
from tapwire_core.db.views.reports import Period, read_periods, sole_venue
from tapwire_core.db.views.volumes import Volumes, field_of
from tapwire_core.domain.closed_sets import Account, KegFinish, StockKind
from tapwire_core.domain.kegs import yield_percent

kegs: Final = table(Keg)
taps: Final = table(Tap)
stock: Final = table(StockMovement)
pours: Final = table(Pour)
money: Final = table(MoneyMovement)
beverages: Final = table(Beverage)

DAY_S: Final = 86_400
SUMMED: Final = ("initial_volume_ml", "book_volume_ml", *Volumes.__struct_fields__, "revenue_minor")
"""The fields of a beverage that are the sums of its kegs'."""
MAX_POINTS: Final = 200
"""The most points of a keg's book volume over time."""


class KegsBy(StrEnum):
    """The tables of a keg report as CSV."""

    KEG = "keg"
    BEVERAGE = "beverage"


class KegSums(Struct, frozen=True, kw_only=True):
    """What kegs held, gave and brought.

    `yield_percent`: what was sold of what left the kegs, less what was returned. `revenue_minor`: what guests paid, tax included.
    `cost_minor` and `margin_minor` are null where a keg's cost is not known.
    """

    initial_volume_ml: int
    book_volume_ml: int
    sold_ml: int = 0
    written_off_ml: int = 0
    rejected_ml: int = 0
    unattributed_ml: int = 0
    corrected_ml: int = 0
    line_cleaning_ml: int = 0
    yield_loss_ml: int = 0
    spoiled_ml: int = 0
    returned_ml: int = 0
    yield_percent: float | None = None
    revenue_minor: int = 0
    cost_minor: int | None = None
    margin_minor: int | None = None
    days_on_tap: float = 0


class KegRow(KegSums, frozen=True, kw_only=True):
    """A keg of the report; `days_on_tap` has one decimal."""

    keg_id: UUID
    venue_id: str
    beverage_id: UUID
    beverage: str
    tap: str | None = None
    supplier: str | None = None
    batch: str | None = None
    tapped_at: datetime
    finished_at: datetime | None = None
    finish: KegFinish | None = None


class BeverageRow(KegSums, frozen=True, kw_only=True):
    """A beverage of the report: the sums of its kegs, and how many there are and are finished."""

    beverage_id: UUID
    beverage: str
    kegs: int
    finished_kegs: int


class KegReport(Struct, frozen=True, kw_only=True):
    """The kegs that are on a tap, or were tapped, finished or moved from `since` to `until`, exclusive.

    `venue_id`: null for several venues.
    """

    venue_id: str | None
    currency: str
    since: datetime
    until: datetime
    items: list[KegRow]
    beverages: list[BeverageRow]


class VolumePoint(Struct, frozen=True):
    """A keg's book volume right after a movement."""

    at: datetime
    book_volume_ml: int


class KegVolumes(Struct, frozen=True, kw_only=True):
    """A keg's book volume over time; `items` has at most 200 points, and always the last one."""

    keg_id: UUID
    beverage_name: str
    initial_volume_ml: int
    created_at: datetime
    items: list[VolumePoint]


class _Keg(Struct, frozen=True):
    keg_id: UUID
    venue_id: str
    beverage_id: UUID
    beverage: str
    tap: str | None
    supplier: str | None
    batch: str | None
    tapped_at: datetime
    finished_at: datetime | None
    finish: KegFinish | None
    initial_volume_ml: int
    book_volume_ml: int
    cost_minor: int | None
    on_tap_s: int


async def report_kegs(db: Database, venue_id: str | None, first: date | datetime, last: date | datetime) -> KegReport:
    """The kegs of a venue, or of all in the database's scope, that are on a tap, or were tapped, finished or moved in a period.

    Raises `Invalid` for a period above `MAX_DAYS`, and `NotFound` without a venue.
    """
    periods = await read_periods(db, venue_id, first, last)
    async with db.read(in_one_snapshot=True) as connection:
        rows = await _read_rows(connection, or_(*(_was_there(period) for period in periods)))
    return KegReport(
        venue_id=sole_venue(periods),
        currency=db.policy.currency,
        since=min(period.since for period in periods),
        until=max(period.until for period in periods),
        items=rows,
        beverages=_by_beverage(rows),
    )


async def report_keg(db: Database, keg_id: UUID) -> KegRow | None:
    """One keg as the report has it; None for one that was never on a tap."""
    async with db.read(in_one_snapshot=True) as connection:
        rows = await _read_rows(connection, kegs.c.keg_id == keg_id)
    return rows[0] if rows else None


async def keg_volumes(db: Database, keg_id: UUID) -> KegVolumes | None:
    """A keg's book volume over time; None when there is no such keg."""
    keg: KegView | None = await get_keg(db, keg_id)
    if keg is None:
        return None
    moved = (
        select(
            stock.c.created_at.label("at"),
            stock.c.movement_id,
            (keg.initial_volume_ml - func.sum(stock.c.volume_ml).over(order_by=stock.c.movement_id)).label("book_volume_ml"),
            func.row_number().over(order_by=stock.c.movement_id.desc()).label("from_end"),
            func.count().over().label("count"),
        )
        .where(stock.c.keg_id == keg_id)
        .subquery()
    )
    step = moved.c.count // (MAX_POINTS + 1) + 1
    shown = (
        select(moved.c.at.label("at"), cast(moved.c.book_volume_ml, BigInteger).label("book_volume_ml"))
        .where((moved.c.from_end - 1) % step == 0)
        .order_by(moved.c.movement_id)
    )
    return KegVolumes(
        keg_id=keg_id,
        beverage_name=keg.beverage_name,
        initial_volume_ml=keg.initial_volume_ml,
        created_at=keg.created_at,
        items=await read_all(db, shown, VolumePoint),
    )


async def _read_rows(connection: AsyncConnection, where: ColumnElement[bool]) -> list[KegRow]:
    """The rows of the kegs that meet a condition, from the connection's snapshot."""
    found = [msgspec.convert(dict(row), _Keg) for row in (await connection.execute(_kegs(where))).mappings()]
    sums: dict[UUID, dict[str, int]] = {keg.keg_id: {} for keg in found}
    for statement in (_volumes, _rejected, _paid_by_pours, _paid_by_incidents):
        for row in await connection.execute(statement(list(sums))):
            its = sums[row.keg_id]
            its[row.field] = its.get(row.field, 0) + row.amount
    return [_row(keg, sums[keg.keg_id]) for keg in found]


def _kegs(where: ColumnElement[bool]) -> Select[Any]:
    on_tap_s = kegs.c.on_tap_before_s + func.coalesce(func.extract("epoch", func.now() - kegs.c.on_tap_since), 0)
    return (
        select(
            *(kegs.c[name] for name in _Keg.__struct_fields__ if name in kegs.c),
            beverages.c.name.label("beverage"),
            taps.c.tap_path.label("tap"),
            cast(func.floor(on_tap_s), BigInteger).label("on_tap_s"),
        )
        .join(beverages, beverages.c.beverage_id == kegs.c.beverage_id)
        .outerjoin(taps, taps.c.keg_id == kegs.c.keg_id)
        .where(where, kegs.c.tapped_at.is_not(None))
        .order_by(kegs.c.tapped_at, kegs.c.keg_id)
    )


def _was_there(period: Period) -> ColumnElement[bool]:
    """The condition that a keg of the venue belongs to the period; only `finished_at` and movements say when it came off."""
    moved = exists().where(stock.c.keg_id == kegs.c.keg_id, stock.c.created_at >= period.since, stock.c.created_at < period.until)
    return and_(
        kegs.c.venue_id == period.venue_id,
        kegs.c.tapped_at < period.until,
        or_(kegs.c.tapped_at >= period.since, kegs.c.finished_at >= period.since, kegs.c.on_tap_since.is_not(None), moved),
    )


def _volumes(keg_ids: Collection[UUID]) -> Select[Any]:
    """The volumes that left the kegs, by kind; what was rejected is among what was written off."""
    field = case(*((stock.c.kind == kind.value, field_of(kind)) for kind in StockKind))
    return (
        select(stock.c.keg_id, field.label("field"), _sum(stock.c.volume_ml))
        .where(stock.c.keg_id.in_(keg_ids))
        .group_by(stock.c.keg_id, stock.c.kind)
    )


def _rejected(keg_ids: Collection[UUID]) -> Select[Any]:
    return (
        select(stock.c.keg_id, literal("rejected_ml").label("field"), _sum(stock.c.volume_ml))
        .join(pours, pours.c.pour_id == stock.c.cause_id)
        .where(
            stock.c.keg_id.in_(keg_ids),
            stock.c.kind == StockKind.OVERPOUR.value,
            pours.c.sync_status == SyncStatus.REJECTED.value,
        )
        .group_by(stock.c.keg_id)
    )


def _paid_by_pours(keg_ids: Collection[UUID]) -> Select[Any]:
    """What guests paid for the pours themselves, which the check proves to be their movements."""
    return (
        select(pours.c.keg_id, literal("revenue_minor").label("field"), _sum(pours.c.amount_minor))
        .where(pours.c.keg_id.in_(keg_ids))
        .group_by(pours.c.keg_id)
    )


def _paid_by_incidents(keg_ids: Collection[UUID]) -> Select[Any]:
    """What guests paid for the pours later."""
    return (
        select(pours.c.keg_id, literal("revenue_minor").label("field"), _sum(money.c.amount_minor))
        .join(money, money.c.pour_id == pours.c.pour_id)
        .where(
            pours.c.keg_id.in_(keg_ids),
            money.c.incident_id.is_not(None),
            money.c.debit_account == Account.GUEST.value,
            money.c.credit_account == Account.SALES.value,
        )
        .group_by(pours.c.keg_id)
    )


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.sum(column), BigInteger).label("amount")


def _row(keg: _Keg, sums: Mapping[str, int]) -> KegRow:
    volumes = {**sums, "written_off_ml": sums.get("written_off_ml", 0) - sums.get("rejected_ml", 0)}
    revenue_minor = volumes.pop("revenue_minor", 0)
    gone_ml = keg.initial_volume_ml - keg.book_volume_ml - volumes.get("returned_ml", 0)
    known = {name: value for name, value in asdict(keg).items() if name != "on_tap_s"}
    followed = {
        "yield_percent": yield_percent(volumes.get("sold_ml", 0), gone_ml),
        "revenue_minor": revenue_minor,
        "margin_minor": None if keg.cost_minor is None else revenue_minor - keg.cost_minor,
        "days_on_tap": round(keg.on_tap_s / DAY_S, 1),
    }
    return msgspec.convert({**known, **volumes, **followed}, KegRow)


def _by_beverage(rows: Sequence[KegRow]) -> list[BeverageRow]:
    """The sums of each beverage's kegs, by its name."""
    of_beverage: defaultdict[tuple[str, UUID], list[KegRow]] = defaultdict(list)
    for row in rows:
        of_beverage[row.beverage, row.beverage_id].append(row)
    return [_sum_of(name, beverage_id, of_beverage[name, beverage_id]) for name, beverage_id in sorted(of_beverage)]


def _sum_of(name: str, beverage_id: UUID, rows: Sequence[KegRow]) -> BeverageRow:
    sums = {field: sum(getattr(row, field) for row in rows) for field in SUMMED}
    costs = [row.cost_minor for row in rows]
    known = [cost for cost in costs if cost is not None]
    cost_minor = sum(known) if len(known) == len(costs) else None
    return BeverageRow(
        beverage_id=beverage_id,
        beverage=name,
        kegs=len(rows),
        finished_kegs=sum(row.finished_at is not None for row in rows),
        **sums,
        yield_percent=yield_percent(sums["sold_ml"], sums["initial_volume_ml"] - sums["book_volume_ml"] - sums["returned_ml"]),
        cost_minor=cost_minor,
        margin_minor=None if cost_minor is None else sums["revenue_minor"] - cost_minor,
        days_on_tap=round(sum(row.days_on_tap for row in rows), 1),
    )
