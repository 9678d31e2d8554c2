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
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, MoneyMovement, Pour, Venue
from tapwire_core.db.views.beverages import name_number, name_times, numbered_names
from tapwire_core.db.views.queries import read_all, table
from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.tax import TaxRow, tax_rows
from tapwire_core.errors import Invalid, NotFound

venues: Final = table(Venue)
money: Final = table(MoneyMovement)
pours: Final = table(Pour)
beverages: Final = table(Beverage)

SUMS: Final = ("pours", "volume_ml", "sold_minor", "written_off_minor", "comps_minor")
MAX_DAYS: Final = 366
"""The longest period of one report."""
QUARTER: Final = timedelta(minutes=15)
EPOCH: Final[ColumnElement[datetime]] = literal_column("'2000-01-01 00:00:00+00'::timestamptz")


class SalesBy(StrEnum):
    """The groupings of a sales report."""

    VENUE = "venue"
    TAP = "tap"
    BEVERAGE = "beverage"
    HOUR = "hour"
    DAY = "day"


BY_CLOCK: Final = (SalesBy.HOUR, SalesBy.DAY)


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


class _Part(Struct, frozen=True):
    key: str
    beverage_id: UUID | None
    tax_rate_bp: int | None
    pours: int
    volume_ml: int
    sold_minor: int
    written_off_minor: int
    comps_minor: int


class Period(Struct, frozen=True):
    """A venue's period, the end exclusive, the day that it is there now, and this time of day a week ago."""

    venue_id: str
    since: datetime
    until: datetime
    today: date
    week_ago: datetime


async def report_sales(
    db: Database, venue_id: str | None, first: date | datetime, last: date | datetime, by: SalesBy
) -> SalesReport:
    """Sales of a venue, or of all in the database's scope; a day without a time means the whole day in each venue's time zone.

    Raises `Invalid` for a period above `MAX_DAYS`, and `NotFound` without a venue.
    """
    periods = await read_periods(db, venue_id, first, last)
    parts = await read_all(db, _sales(periods, by), _Part)
    rows = _rows(parts)
    return SalesReport(
        venue_id=sole_venue(periods),
        currency=db.policy.currency,
        by=by,
        since=min(period.since for period in periods),
        until=max(period.until for period in periods),
        items=rows,
        comps_minor=sum(row.comps_minor for row in rows),
        tax=tax_rows((part.tax_rate_bp, part.sold_minor) for part in parts if part.sold_minor),
    )


def _rows(parts: Sequence[_Part]) -> list[SalesRow]:
    """The report's rows, each of its parts at one rate of tax, in their order."""
    together: defaultdict[tuple[str, UUID | None], list[_Part]] = defaultdict(list)
    for part in parts:
        together[part.key, part.beverage_id].append(part)
    return [
        SalesRow(key=key, beverage_id=beverage_id, **{name: sum(getattr(part, name) for part in its) for name in SUMS})
        for (key, beverage_id), its in together.items()
    ]


async def read_periods(
    db: Database, venue_id: str | None, first: date | datetime, last: date | datetime, max_days: int = MAX_DAYS
) -> list[Period]:
    """The period of a venue, or of each in the database's scope; raises as `report_sales` does."""
    until = _moment(last + timedelta(days=1) if _is_day(last) else last)
    now = func.timezone(venues.c.time_zone, func.now())
    week_ago = func.timezone(venues.c.time_zone, now - timedelta(days=7)).label("week_ago")
    today = cast(now, Date).label("today")
    wanted: Select[Any] = select(venues.c.venue_id, _moment(first).label("since"), until.label("until"), today, week_ago)
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
    named = numbered_names()
    key = _key(by, parts, named).label("key")
    beverage_id = (parts.c.beverage_id if by is SalesBy.BEVERAGE else cast(null(), Uuid())).label("beverage_id")
    # the hour repeated at the end of summer time has two keys, and the later one sorts first
    order = [func.min(parts.c.at)] if by is SalesBy.HOUR else []
    statement = select(key, beverage_id, parts.c.tax_rate_bp.label("tax_rate_bp"), *sums).select_from(parts)
    if by in BY_CLOCK:
        statement = statement.join(venues, venues.c.venue_id == parts.c.venue_id)
    elif by is SalesBy.BEVERAGE:
        is_named = and_(named.c.beverage_id == parts.c.beverage_id, named.c.number == parts.c.name_number)
        statement = statement.outerjoin(named, is_named).outerjoin(beverages, beverages.c.beverage_id == parts.c.beverage_id)
    return statement.group_by(key, beverage_id, parts.c.tax_rate_bp).order_by(*order, key, beverage_id)


def _settled(periods: Sequence[Period], by: SalesBy) -> Select[Any]:
    """Settled pours, summed by what the rows of the report follow from."""
    times = name_times()
    groups = _groups(by, pours.c.venue_id, pours.c.settled_at, times)
    statement = select(
        *groups,
        func.count().label("pours"),
        func.sum(pours.c.volume_ml).label("volume_ml"),
        literal(0).label("sold_minor"),
        literal(0).label("written_off_minor"),
        literal(0).label("comps_minor"),
    ).where(
        pours.c.sync_status.in_([SyncStatus.SYNCED.value, SyncStatus.RECONCILED.value]),
        is_within(pours.c.venue_id, pours.c.settled_at, periods),
    )
    return _with_name_times(statement.select_from(pours), by, times).group_by(*groups)


def _moved(periods: Sequence[Period], by: SalesBy) -> Select[Any]:
    """Movements of money, summed by the same."""
    sold, comp = money.c.debit_account == Account.GUEST.value, money.c.debit_account == Account.COMP.value
    times = name_times()
    groups = _groups(by, money.c.venue_id, money.c.created_at, times)
    statement = (
        select(
            *groups,
            literal(0),
            literal(0),
            func.sum(case((sold, money.c.amount_minor), else_=0)),
            func.sum(case((or_(sold, comp), 0), else_=money.c.amount_minor)),
            func.sum(case((comp, money.c.amount_minor), else_=0)),
        )
        .select_from(money)
        .outerjoin(pours, pours.c.pour_id == money.c.pour_id)
        .where(
            or_(money.c.credit_account == Account.SALES.value, comp),
            is_within(money.c.venue_id, money.c.created_at, periods),
        )
    )
    return _with_name_times(statement, by, times).group_by(*groups)


def _groups(by: SalesBy, venue_id: ColumnElement[Any], at: ColumnElement[Any], times: Subquery) -> list[ColumnElement[Any]]:
    """What a row's key follows from, and the tax. They have few values; the keys, which cost more, are made of the sums alone."""
    rate = pours.c.tax_rate_bp.label("tax_rate_bp")
    match by:
        case SalesBy.TAP:
            return [rate, pours.c.tap_path.label("tap_path")]
        case SalesBy.BEVERAGE:
            number = name_number(times.c.times, pours.c.authorized_at)
            return [rate, pours.c.beverage_id.label("beverage_id"), number.label("name_number")]
        case SalesBy.VENUE:
            return [rate, venue_id.label("venue_id")]
        case SalesBy.HOUR | SalesBy.DAY:
            return [rate, venue_id.label("venue_id"), quarter_of(at).label("at")]


def _with_name_times(statement: Select[Any], by: SalesBy, times: Subquery) -> Select[Any]:
    return statement.outerjoin(times, times.c.beverage_id == pours.c.beverage_id) if by is SalesBy.BEVERAGE else statement


def _key(by: SalesBy, parts: Subquery, named: Subquery) -> ColumnElement[str]:
    match by:
        case SalesBy.VENUE:
            return cast(parts.c.venue_id, Text)
        case SalesBy.TAP:
            return func.coalesce(parts.c.tap_path, "-")
        case SalesBy.BEVERAGE:
            return func.coalesce(named.c.name, beverages.c.name, "-")
        case SalesBy.HOUR:
            local = func.timezone(venues.c.time_zone, parts.c.at)
            return func.to_char(local, 'YYYY-MM-DD"T"HH24:00').concat(_offset(local, parts.c.at))
        case SalesBy.DAY:
            return func.to_char(func.timezone(venues.c.time_zone, parts.c.at), "YYYY-MM-DD")


def quarter_of(at: ColumnElement[Any]) -> ColumnElement[datetime]:
    """The quarter of an hour that a moment is in. Hours and days of every time zone begin with one."""
    return func.date_bin(QUARTER, at, EPOCH)


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
