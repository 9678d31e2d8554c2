"""Venues, for operators."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, Select, and_, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Shift, Venue
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_one, read_page, table
from tapwire_core.domain.closed_sets import VolumeUnit
from tapwire_core.domain.search import finds, finds_whole
from tapwire_core.domain.serving_limits import ServingLimit

venues: Final = table(Venue)
shifts: Final = table(Shift)


class VenueView(Struct, frozen=True):
    """A venue, and its open shift."""

    venue_id: str
    name: str
    time_zone: str
    legal_age: int
    minors_allowed: bool
    count_cash: bool
    serving_limit: ServingLimit | None
    visit_hours: int | None
    card_deposit_minor: int
    glass_ml: int
    volume_unit: VolumeUnit
    operator_refund_limit_minor: int
    max_balance_minor: int | None
    keg_low_percent: int
    keg_low_minutes: int
    public_menu: bool
    emergency_stop: bool
    emergency_stop_reason: str | None
    open_shift_id: UUID | None
    created_at: datetime


async def list_venues(db: Database, page: PageRequest = FIRST_PAGE, *, search: str | None = None) -> Page[VenueView]:
    """All venues, by id; with `search` those whose name or id it finds, whole words first."""
    statement = _venues()
    order: list[ColumnElement[Any]] = [venues.c.venue_id]
    if search is not None:
        async with db.read() as connection:
            named = (await connection.execute(select(venues.c.venue_id, venues.c.name))).all()
        statement = statement.where(venues.c.venue_id.in_([venue_id for venue_id, name in named if finds(search, venue_id, name)]))
        whole = [venue_id for venue_id, name in named if finds_whole(search, venue_id, name)]
        order.insert(0, cast(venues.c.venue_id.not_in(whole), Integer))
    return await read_page(db, statement, VenueView, order, page)


async def get_venue(db: Database, venue_id: str) -> VenueView | None:
    """One venue."""
    return await read_one(db, _venues().where(venues.c.venue_id == venue_id), VenueView)


def _venues() -> Select[Any]:
    of_venue = and_(shifts.c.venue_id == venues.c.venue_id, shifts.c.status == "open")
    columns = [column for column in venues.c if not column.name.startswith("serving_limit")]
    return select(*columns, serving_limit().label("serving_limit"), shifts.c.shift_id.label("open_shift_id")).outerjoin(
        shifts, of_venue
    )


def serving_limit() -> ColumnElement[Any]:
    """A venue's serving limit."""
    parts = (venues.c.serving_limit_measure, venues.c.serving_limit, venues.c.serving_limit_window_minutes)
    return func.serving_limit_of(*parts, type_=JSONB)
