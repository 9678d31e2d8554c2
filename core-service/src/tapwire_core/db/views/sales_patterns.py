"""Sales as patterns of time: by weekday and hour, and each day beside the same weekday of the week before.

Money comes from the movements, volume and count from settled pours, as in `reports`; all times are of each venue's clock.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Integer,
    Select,
    Subquery,
    case,
    cast,
    extract,
    func,
    literal,
    select,
    union_all,
)

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import MoneyMovement, Pour, Venue
from tapwire_core.db.views.queries import read_all, table
from tapwire_core.db.views.reports import MAX_DAYS, Period, is_within, quarter_of, read_periods, sole_venue
from tapwire_core.domain.closed_sets import Account

venues: Final = table(Venue)
money: Final = table(MoneyMovement)
pours: Final = table(Pour)

SUMS: Final = ("pours", "volume_ml", "sold_minor")
WEEK: Final = timedelta(days=7)


class HeatMapCell(Struct, frozen=True):
    """The sales of one hour of one weekday, over the whole period; `weekday` 1 is Monday, `hour` 0 to 23 its beginning."""

    weekday: int
    hour: int
    pours: int
    volume_ml: int
    sold_minor: int


class SalesHeatMap(Struct, frozen=True, kw_only=True):
    """Sales from `since` to `until`, exclusive, by weekday and hour; hours without sales are left out.

    `venue_id`: null for the sum of several venues.
    """

    venue_id: str | None
    currency: str
    since: datetime
    until: datetime
    items: list[HeatMapCell]


class ComparedDay(Struct, frozen=True):
    """A day's sales, and those of the same weekday of the week before, `day_before`."""

    day: date
    pours: int
    volume_ml: int
    sold_minor: int
    day_before: date
    pours_before: int
    volume_before_ml: int
    sold_before_minor: int


class SalesComparison(Struct, frozen=True, kw_only=True):
    """Days beside the same weekday of the week before. While a day is not over, the one before counts up to the same time of day.

    `venue_id`: null for the sum of several venues.
    """

    venue_id: str | None
    currency: str
    items: list[ComparedDay]


class _DaySums(Struct, frozen=True):
    day: date
    pours: int
    volume_ml: int
    sold_minor: int
    pours_before: int
    volume_before_ml: int
    sold_before_minor: int


async def report_heat_map(db: Database, venue_id: str | None, first: date | datetime, last: date | datetime) -> SalesHeatMap:
    """Sales by weekday and hour of a venue, or of all in the database's scope; raises as `report_sales` does."""
    periods = await read_periods(db, venue_id, first, last)
    facts = _quarters(periods)
    local = func.timezone(venues.c.time_zone, facts.c.at)
    keys: list[ColumnElement[Any]] = [
        cast(extract("isodow", local), Integer).label("weekday"),
        cast(extract("hour", local), Integer).label("hour"),
    ]
    statement = _of_venues(facts, *keys, *(_sum(facts.c[name]).label(name) for name in SUMS)).group_by(*keys).order_by(*keys)
    return SalesHeatMap(
        venue_id=sole_venue(periods),
        currency=db.policy.currency,
        since=min(period.since for period in periods),
        until=max(period.until for period in periods),
        items=[cell for cell in await read_all(db, statement, HeatMapCell) if cell.pours or cell.sold_minor],
    )


async def compare_sales(db: Database, venue_id: str | None, first: date, last: date) -> SalesComparison:
    """Each day from `first` to `last`, as far as it has come, beside the same weekday of the week before.

    Raises as `report_sales` does.
    """
    periods = await read_periods(db, venue_id, first, last)
    with_before = await read_periods(db, venue_id, first - WEEK, last, MAX_DAYS + WEEK.days)
    facts = _quarters(with_before, comparable=[replace(period, until=period.week_ago) for period in with_before])
    day = cast(func.timezone(venues.c.time_zone, facts.c.at), Date).label("day")
    columns: list[ColumnElement[Any]] = [
        day,
        *(_sum(facts.c[name]).label(name) for name in SUMS),
        *(
            func.coalesce(_sum(case((facts.c.comparable, facts.c[name]))), 0).label(label)
            for name, label in zip(SUMS, ("pours_before", "volume_before_ml", "sold_before_minor"), strict=True)
        ),
    ]
    statement = _of_venues(facts, *columns).group_by(day)
    sums = {row.day: row for row in await read_all(db, statement, _DaySums)}
    end = min(last, max(period.today for period in periods))
    days = [first + timedelta(days=place) for place in range((end - first).days + 1)]
    return SalesComparison(
        venue_id=sole_venue(periods), currency=db.policy.currency, items=[_compared(sums, a_day) for a_day in days]
    )


def _compared(sums: dict[date, _DaySums], day: date) -> ComparedDay:
    now, before = sums.get(day), sums.get(day - WEEK)
    return ComparedDay(
        day=day,
        pours=now.pours if now else 0,
        volume_ml=now.volume_ml if now else 0,
        sold_minor=now.sold_minor if now else 0,
        day_before=day - WEEK,
        pours_before=before.pours_before if before else 0,
        volume_before_ml=before.volume_before_ml if before else 0,
        sold_before_minor=before.sold_before_minor if before else 0,
    )


def _quarters(periods: Sequence[Period], comparable: Sequence[Period] = ()) -> Subquery:
    """Sums of settled pours and of sales of money, for each venue and quarter of an hour.

    A row that is `comparable` is within those periods; a quarter that one of them begins or ends in has two rows.
    What is left of many pours costs little to group anew, by what follows from the time on a venue's clock.
    """
    return union_all(_settled(periods, comparable), _sold(periods, comparable)).subquery()


def _keys(venue_id: ColumnElement[Any], at: ColumnElement[Any], comparable: Sequence[Period]) -> list[ColumnElement[Any]]:
    keys: list[ColumnElement[Any]] = [venue_id.label("venue_id"), quarter_of(at).label("at")]
    return [*keys, is_within(venue_id, at, comparable).label("comparable")] if comparable else keys


def _settled(periods: Sequence[Period], comparable: Sequence[Period]) -> Select[Any]:
    keys = _keys(pours.c.venue_id, pours.c.settled_at, comparable)
    sums = [
        func.count().label("pours"),
        _sum(pours.c.volume_ml).label("volume_ml"),
        cast(literal(0), BigInteger).label("sold_minor"),
    ]
    return (
        select(*keys, *sums)
        .where(
            pours.c.sync_status.in_([SyncStatus.SYNCED.value, SyncStatus.RECONCILED.value]),
            is_within(pours.c.venue_id, pours.c.settled_at, periods),
        )
        .group_by(*keys)
    )


def _sold(periods: Sequence[Period], comparable: Sequence[Period]) -> Select[Any]:
    keys = _keys(money.c.venue_id, money.c.created_at, comparable)
    return (
        select(*keys, literal(0), literal(0), _sum(money.c.amount_minor))
        .where(
            money.c.debit_account == Account.GUEST.value,
            money.c.credit_account == Account.SALES.value,
            is_within(money.c.venue_id, money.c.created_at, periods),
        )
        .group_by(*keys)
    )


def _of_venues(facts: Subquery, *columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).select_from(facts).join(venues, venues.c.venue_id == facts.c.venue_id)


def _sum(of: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.sum(of), BigInteger)
