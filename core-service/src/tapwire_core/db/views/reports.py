"""Sales of a period, of one venue or of all, by venue, tap, beverage, hour or day of the venue.

Money comes from the movements, volume and count from settled pours; hours and days are in each venue's time zone.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Select,
    Subquery,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, MoneyMovement, Pour, Venue
from tapwire_core.db.views.beverages import is_name_at, names_over_time
from tapwire_core.db.views.queries import read_all, table
from tapwire_core.db.views.tax import tax_of_sales
from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.tax import TaxRow
from tapwire_core.errors import Invalid, NotFound

venues: Final = table(Venue)
money: Final = table(MoneyMovement)
pours: Final = table(Pour)
beverages: Final = table(Beverage)

SUMS: Final = ("pours", "volume_ml", "sold_minor", "written_off_minor", "comps_minor")
MAX_DAYS: Final = 366
"""The longest period of one report."""


class SalesBy(StrEnum):
    """The groupings of a sales report."""

    VENUE = "venue"
    TAP = "tap"
    BEVERAGE = "beverage"
    HOUR = "hour"
    DAY = "day"


class SalesRow(Struct, frozen=True, omit_defaults=True):
    """One venue's, tap's, beverage's, hour's or day's sales; `-`: charged later, for a pour without a known tap.

    An hour's key is its beginning, with the venue's UTC offset: `2026-10-25T02:00+02:00`. `comps_minor`: money that guests were
    given; left out where it is 0.
    """

    key: str
    pours: int
    volume_ml: int
    sold_minor: int
    written_off_minor: int
    beverage_id: UUID | None = None
    comps_minor: int = 0


class SalesReport(Struct, frozen=True, kw_only=True):
    """Sales from `since` to `until`, exclusive. `venue_id`: null for the sum of several venues.

    `comps_minor`: money that guests were given. `tax`: of all that was sold, one row for each rate.
    Venues whose days differ by their time zones begin and end one after the other: the period is from the first to the last.
    """

    venue_id: str | None
    currency: str
    by: SalesBy
    since: datetime
    until: datetime
    items: list[SalesRow]
    comps_minor: int
    tax: list[TaxRow]


class Period(Struct, frozen=True):
    """A venue's period, the end exclusive, and the day that it is there now."""

    venue_id: str
    since: datetime
    until: datetime
    today: date


async def report_sales(
    db: Database, venue_id: str | None, first: date | datetime, last: date | datetime, by: SalesBy
) -> SalesReport:
    """Sales of a venue, or of all in the database's scope; a day without a time means the whole day in each venue's time zone.

    Raises `Invalid` for a period above `MAX_DAYS`, and `NotFound` without a venue.
    """
    periods = await read_periods(db, venue_id, first, last)
    rows = await read_all(db, _sales(periods, by), SalesRow)
    async with db.read() as connection:
        tax = await tax_of_sales(connection, is_within(money.c.venue_id, money.c.created_at, periods))
    return SalesReport(
        venue_id=sole_venue(periods),
        currency=db.policy.currency,
        by=by,
        since=min(period.since for period in periods),
        until=max(period.until for period in periods),
        items=rows,
        comps_minor=sum(row.comps_minor for row in rows),
        tax=tax,
    )


async def read_periods(
    db: Database, venue_id: str | None, first: date | datetime, last: date | datetime, max_days: int = MAX_DAYS
) -> list[Period]:
    """The period of a venue, or of each in the database's scope; raises as `report_sales` does."""
    until = _moment(last + timedelta(days=1) if _is_day(last) else last)
    today = cast(func.timezone(venues.c.time_zone, func.now()), Date).label("today")
    wanted: Select[Any] = select(venues.c.venue_id, _moment(first).label("since"), until.label("until"), today)
    if venue_id is not None:
        wanted = wanted.where(venues.c.venue_id == venue_id)
    periods = await read_all(db, wanted.order_by(venues.c.venue_id), Period)
    if not periods:
        raise NotFound("venue", venue_id or "-")
    for period in periods:
        if not timedelta() < period.until - period.since <= timedelta(days=max_days, hours=1):
            raise Invalid(f"The period must end after it begins, and be no longer than {MAX_DAYS} days.", field="to")
    return periods


def sole_venue(periods: Sequence[Period]) -> str | None:
    """The venue of a report about one; None for the sum of several."""
    return periods[0].venue_id if len(periods) == 1 else None


def _is_day(given: date | datetime) -> bool:
    return not isinstance(given, datetime)


def _moment(given: date | datetime) -> ColumnElement[datetime]:
    """The moment itself, or the beginning of a day in the venue's time zone."""
    if _is_day(given):
        midnight = datetime(given.year, given.month, given.day)  # noqa: DTZ001  of the venue's clock
        return first_midnight(venues.c.time_zone, cast(literal(midnight), DateTime))
    return literal(given, DateTime(timezone=True))


def first_midnight(zone: ColumnElement[str], midnight: ColumnElement[datetime]) -> ColumnElement[datetime]:
    """The beginning of a day in a time zone: the first of two midnights, or the moment at which the clock skips midnight."""
    # of a time that comes twice PostgreSQL takes the later one, so the offset of the day before is tried too
    usual = func.timezone(zone, midnight)
    offset_before = func.timezone(zone, usual - timedelta(days=1)) - func.timezone("UTC", usual - timedelta(days=1))
    other = func.timezone("UTC", midnight - offset_before)
    return case((func.timezone(zone, other) == midnight, func.least(other, usual)), else_=usual)


def _sales(periods: Sequence[Period], by: SalesBy) -> Select[Any]:
    parts = union_all(_settled(periods, by), _moved(periods, by)).subquery()
    sums = [cast(func.sum(parts.c[name]), BigInteger).label(name) for name in SUMS]
    # the hour repeated at the end of summer time has two keys, and the later one sorts first
    order = [func.min(parts.c.at)] if by is SalesBy.HOUR else []
    keys = (parts.c.key, parts.c.beverage_id)
    return select(parts.c.key, parts.c.beverage_id.label("beverage_id"), *sums).group_by(*keys).order_by(*order, *keys)


def _settled(periods: Sequence[Period], by: SalesBy) -> Select[Any]:
    then = names_over_time()
    return (
        select(
            _key(by, pours.c.settled_at, then).label("key"),
            _beverage_id(by).label("beverage_id"),
            pours.c.settled_at.label("at"),
            literal(1).label("pours"),
            pours.c.volume_ml,
            literal(0).label("sold_minor"),
            literal(0).label("written_off_minor"),
            literal(0).label("comps_minor"),
        )
        .join(venues, venues.c.venue_id == pours.c.venue_id)
        .join(beverages, beverages.c.beverage_id == pours.c.beverage_id)
        .outerjoin(then, is_name_at(then, pours.c.beverage_id, pours.c.authorized_at))
        .where(
            pours.c.sync_status.in_([SyncStatus.SYNCED.value, SyncStatus.RECONCILED.value]),
            is_within(pours.c.venue_id, pours.c.settled_at, periods),
        )
    )


def _moved(periods: Sequence[Period], by: SalesBy) -> Select[Any]:
    sold, comp = money.c.debit_account == Account.GUEST.value, money.c.debit_account == Account.COMP.value
    then = names_over_time()
    return (
        select(
            _key(by, money.c.created_at, then),
            _beverage_id(by),
            money.c.created_at,
            literal(0),
            literal(0),
            case((sold, money.c.amount_minor), else_=0),
            case((or_(sold, comp), 0), else_=money.c.amount_minor),
            case((comp, money.c.amount_minor), else_=0),
        )
        .join(venues, venues.c.venue_id == money.c.venue_id)
        .outerjoin(pours, pours.c.pour_id == money.c.pour_id)
        .outerjoin(beverages, beverages.c.beverage_id == pours.c.beverage_id)
        .outerjoin(then, is_name_at(then, pours.c.beverage_id, pours.c.authorized_at))
        .where(
            or_(money.c.credit_account == Account.SALES.value, comp),
            is_within(money.c.venue_id, money.c.created_at, periods),
        )
    )


def _beverage_id(by: SalesBy) -> ColumnElement[Any]:
    return pours.c.beverage_id if by is SalesBy.BEVERAGE else cast(null(), Uuid())


def _key(by: SalesBy, at: ColumnElement[Any], then: Subquery) -> ColumnElement[str]:
    local = func.timezone(venues.c.time_zone, at)
    match by:
        case SalesBy.VENUE:
            return cast(venues.c.venue_id, Text)
        case SalesBy.TAP:
            return func.coalesce(pours.c.tap_path, "-")
        case SalesBy.BEVERAGE:
            return func.coalesce(then.c.name, beverages.c.name, "-")
        case SalesBy.HOUR:
            return func.to_char(local, 'YYYY-MM-DD"T"HH24:00').concat(_offset(local, at))
        case SalesBy.DAY:
            return func.to_char(local, "YYYY-MM-DD")


def _offset(local: ColumnElement[Any], at: ColumnElement[Any]) -> ColumnElement[str]:
    """The venue's UTC offset at a moment, such as `+02:00`: it distinguishes the repeated hour of autumn from the first."""
    ahead = local - func.timezone("UTC", at)
    sign = case((local < func.timezone("UTC", at), "-"), else_="+")
    return sign.concat(func.to_char(func.greatest(ahead, -ahead), "HH24:MI"))


def is_within(venue_id: ColumnElement[Any], at: ColumnElement[Any], periods: Sequence[Period]) -> ColumnElement[bool]:
    """The condition that a moment is in its venue's period; venues with one period share a condition."""
    together: defaultdict[tuple[datetime, datetime], list[str]] = defaultdict(list)
    for period in periods:
        together[period.since, period.until].append(period.venue_id)
    return or_(*(and_(venue_id.in_(ids), at >= since, at < until) for (since, until), ids in together.items()))
