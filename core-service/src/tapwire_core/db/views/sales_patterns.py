"""Sales as patterns of time: by weekday and hour, and each day beside the same weekday of the week before.

Money comes from the movements, volume and count from settled pours, as in `reports`; all times are of each venue's clock.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
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
from tapwire_core.db.views.reports import MAX_DAYS, Period, is_within, read_periods, sole_venue
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
    facts = _facts(periods, lambda at: [func.date_trunc("hour", at).label("hour")])
    keys: list[ColumnElement[Any]] = [
        cast(extract("isodow", facts.c.hour), Integer).label("weekday"),
        cast(extract("hour", facts.c.hour), Integer).label("hour"),
    ]
    statement = select(*keys, *(_sum(facts.c[name]).label(name) for name in SUMS)).group_by(*keys).order_by(*keys)
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
    facts = _facts(with_before, lambda at: [cast(at, Date).label("day"), (at + WEEK < _local(func.now())).label("comparable")])
    columns: list[ColumnElement[Any]] = [
        facts.c.day,
        *(_sum(facts.c[name]).label(name) for name in SUMS),
        *(
            func.coalesce(_sum(case((facts.c.comparable, facts.c[name]))), 0).label(label)
            for name, label in zip(SUMS, ("pours_before", "volume_before_ml", "sold_before_minor"), strict=True)
        ),
    ]
    statement = select(*columns).group_by(facts.c.day)
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


def _facts(periods: Sequence[Period], keys_of: Callable[[ColumnElement[datetime]], list[ColumnElement[Any]]]) -> Subquery:
    """Sums of settled pours and of sales of money, for each value of some keys, which follow from its venue's local time.

    Both are summed before they are put together: the few sums that are left cost nothing to group anew.
    """
    return union_all(_settled(periods, keys_of), _sold(periods, keys_of)).subquery()


def _settled(periods: Sequence[Period], keys_of: Callable[[ColumnElement[datetime]], list[ColumnElement[Any]]]) -> Select[Any]:
    keys = keys_of(_local(pours.c.settled_at))
    sums = [
        func.count().label("pours"),
        _sum(pours.c.volume_ml).label("volume_ml"),
        cast(literal(0), BigInteger).label("sold_minor"),
    ]
    return (
        select(*keys, *sums)
        .select_from(pours)
        .join(venues, venues.c.venue_id == pours.c.venue_id)
        .where(
            pours.c.sync_status.in_([SyncStatus.SYNCED.value, SyncStatus.RECONCILED.value]),
            is_within(pours.c.venue_id, pours.c.settled_at, periods),
        )
        .group_by(*keys)
    )


def _sold(periods: Sequence[Period], keys_of: Callable[[ColumnElement[datetime]], list[ColumnElement[Any]]]) -> Select[Any]:
    keys = keys_of(_local(money.c.created_at))
    return (
        select(*keys, literal(0), literal(0), _sum(money.c.amount_minor))
        .select_from(money)
        .join(venues, venues.c.venue_id == money.c.venue_id)
        .where(
            money.c.debit_account == Account.GUEST.value,
            money.c.credit_account == Account.SALES.value,
            is_within(money.c.venue_id, money.c.created_at, periods),
        )
        .group_by(*keys)
    )


def _local(at: ColumnElement[Any]) -> ColumnElement[datetime]:
    return cast(func.timezone(venues.c.time_zone, at), DateTime)


def _sum(of: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.sum(of), BigInteger)
