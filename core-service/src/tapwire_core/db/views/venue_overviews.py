"""All venues at a glance: sales of today, running pours, open incidents, offline devices; and their sums.

Sales are read from the movements' index by time, so that a page that loads itself again costs no reading of the whole history.
"""

from datetime import timedelta
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ARRAY, BigInteger, ColumnElement, DateTime, Select, Subquery, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from tapwire_contracts.reasons import IncidentStatus, Presence, SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Device, Incident, MoneyMovement, NodeStatus, Pour, Shift, Tap, Venue
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_one, read_page, table
from tapwire_core.db.views.reports import first_midnight
from tapwire_core.domain.closed_sets import Account

LONGEST_DAY: Final = timedelta(hours=26)
"""More than any calendar day has."""

venues: Final = table(Venue)
shifts: Final = table(Shift)
taps: Final = table(Tap)
pours: Final = table(Pour)
incidents: Final = table(Incident)
devices: Final = table(Device)
nodes: Final = table(NodeStatus)
money: Final = table(MoneyMovement)


class VenueOverview(Struct, frozen=True):
    """A venue now. `sold_minor`: what guests paid since the day began in the venue's time zone.

    `offline`: paths of devices with valid credentials whose node is offline. `incidents`: unresolved ones of the venue.
    """

    venue_id: str
    name: str
    emergency_stop: bool
    shift_open: bool
    taps: int
    pouring: int
    incidents: int
    offline: list[str]
    sold_minor: int


class OverviewSums(Struct, frozen=True):
    """Sums over all venues. `unplaced`: unresolved incidents without a known venue."""

    venues: int
    taps: int
    pouring: int
    incidents: int
    unplaced: int
    offline: int
    sold_minor: int


async def list_overviews(db: Database, page: PageRequest = FIRST_PAGE) -> Page[VenueOverview]:
    """Venues by id."""
    return await read_page(db, _overviews(), VenueOverview, [venues.c.venue_id], page)


async def sum_overviews(db: Database) -> OverviewSums:
    """Sums of `list_overviews`."""
    every = _overviews().subquery()
    sums = [_number(func.sum(every.c[name])).label(name) for name in ("taps", "pouring", "incidents", "sold_minor")]
    statement = select(
        func.count().label("venues"),
        _number(func.sum(func.cardinality(every.c.offline))).label("offline"),
        select(func.count()).where(_is_open(), incidents.c.venue_id.is_(None)).scalar_subquery().label("unplaced"),
        *sums,
    ).select_from(every)
    found = await read_one(db, statement, OverviewSums)
    assert found is not None
    return found


def _overviews() -> Select[Any]:
    sold, unresolved, pouring, having, offline = _sold_today(), _incidents(), _pouring(), _taps(), _offline()
    return (
        select(
            venues.c.venue_id,
            venues.c.name,
            venues.c.emergency_stop,
            shifts.c.shift_id.is_not(None).label("shift_open"),
            _number(having.c.number).label("taps"),
            _number(pouring.c.number).label("pouring"),
            _number(unresolved.c.number).label("incidents"),
            func.coalesce(offline.c.paths, cast(literal([], ARRAY(Text)), ARRAY(Text))).label("offline"),
            _number(sold.c.sold_minor).label("sold_minor"),
        )
        .outerjoin(shifts, (shifts.c.venue_id == venues.c.venue_id) & (shifts.c.status == "open"))
        .outerjoin(having, having.c.venue_id == venues.c.venue_id)
        .outerjoin(pouring, pouring.c.venue_id == venues.c.venue_id)
        .outerjoin(unresolved, unresolved.c.venue_id == venues.c.venue_id)
        .outerjoin(offline, offline.c.venue_id == venues.c.venue_id)
        .outerjoin(sold, sold.c.venue_id == venues.c.venue_id)
    )


def _number(value: Any) -> Any:
    return cast(func.coalesce(value, 0), BigInteger)


def _sold_today() -> Subquery:
    """What guests paid today, by venue. Midnights are found once for each venue: for each movement they would take most time."""
    today = func.date_trunc("day", func.timezone(venues.c.time_zone, func.now(), type_=DateTime()))
    began = first_midnight(venues.c.time_zone, today).label("began_at")
    days = select(venues.c.venue_id, began).cte("days").prefix_with("MATERIALIZED")
    return (
        select(money.c.venue_id, func.sum(money.c.amount_minor).label("sold_minor"))
        .join(days, days.c.venue_id == money.c.venue_id)
        .where(
            money.c.created_at >= func.now() - LONGEST_DAY,
            money.c.created_at >= days.c.began_at,
            money.c.credit_account == Account.SALES.value,
            money.c.debit_account == Account.GUEST.value,
        )
        .group_by(money.c.venue_id)
        .subquery("sold")
    )


def _taps() -> Subquery:
    return select(taps.c.venue_id, func.count().label("number")).group_by(taps.c.venue_id).subquery("having")


def _pouring() -> Subquery:
    pending = pours.c.sync_status == SyncStatus.PENDING_SYNC.value
    return select(pours.c.venue_id, func.count().label("number")).where(pending).group_by(pours.c.venue_id).subquery("pouring")


def _is_open() -> ColumnElement[bool]:
    return incidents.c.status != IncidentStatus.RESOLVED.value


def _incidents() -> Subquery:
    counted = select(incidents.c.venue_id, func.count().label("number")).where(_is_open())
    return counted.group_by(incidents.c.venue_id).subquery("unresolved")


def _offline() -> Subquery:
    """Paths of offline devices, in order, by venue: the first part of a path."""
    venue_id = func.split_part(devices.c.path, "/", 1)
    paths = func.array_agg(aggregate_order_by(devices.c.path, devices.c.path), type_=ARRAY(Text))
    return (
        select(venue_id.label("venue_id"), paths.label("paths"))
        .join(nodes, nodes.c.path == devices.c.path)
        .where(devices.c.revoked_at.is_(None), nodes.c.status == Presence.OFFLINE.value)
        .group_by(venue_id)
        .subquery("offline")
    )
