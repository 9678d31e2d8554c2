"""Reading of parameters: pages, times, venues, the fields that a PATCH names, and 404 for what is missing."""

from datetime import date, datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from msgspec import UNSET, Struct

from tapwire_core.db.engine import Database
from tapwire_core.db.views.queries import DEFAULT_LIMIT, MAX_LIMIT, PageRequest, Sort
from tapwire_core.db.views.venues import list_venues
from tapwire_core.errors import Invalid, NotFound
from tapwire_core.services.venues import VenueRequired

MAX_CURSOR_LENGTH: Final = 500
CURSOR_PATTERN: Final = "^[A-Za-z0-9_-]+$"
CONSOLE_LIMIT: Final = 100
"""Rows of one page of the console."""
SANE_YEARS: Final = range(2000, 2101)

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]

T = TypeVar("T")
Cursor = Annotated[
    str | None,
    QueryParameter(max_length=MAX_CURSOR_LENGTH, pattern=CURSOR_PATTERN, description="the previous page's `next_cursor`"),
]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="maximum number of items")]


SortOrder = Annotated[
    Sort | None, QueryParameter(description="order by the list's own field, up or down; send the same with each page")
]


def provide_page(cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT, sort: SortOrder = None) -> PageRequest:
    """The requested part of a list."""
    return PageRequest(cursor, limit, sort)


def provide_counted_page(cursor: Cursor = None) -> PageRequest:
    """The requested part of a list of the console, which says how many rows follow."""
    return PageRequest(cursor, CONSOLE_LIMIT, counted=True)


def read_moment(field: str, text: str) -> datetime:
    """A time with its zone, such as `2026-05-01T20:00:00+02:00`; raises `Invalid`."""
    try:
        moment = msgspec.convert(text, _Moment)
    except msgspec.ValidationError as error:
        raise Invalid(f"{field}: expected a time with its zone, such as 2026-05-01T20:00:00Z.", field=field) from error
    require_sane_year(field, moment)
    return moment


def read_uuid(field: str, text: str) -> UUID:
    """An id; raises `Invalid`."""
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(f"{field}: expected an id.", field=field) from error


def read_day_or_moment(field: str, text: str) -> date | datetime:
    """A day such as `2026-05-01`, or a time with its zone; raises `Invalid`."""
    try:
        day = msgspec.convert(text, date)
    except msgspec.ValidationError:
        return read_moment(field, text)
    require_sane_year(field, day)
    return day


def read_day(field: str, text: str) -> date:
    """A day such as `2026-05-01`; raises `Invalid`."""
    try:
        day = msgspec.convert(text, date)
    except msgspec.ValidationError as error:
        raise Invalid(f"{field}: expected a day, such as 2026-05-01.", field=field) from error
    require_sane_year(field, day)
    return day


def require_sane_year(field: str, day: date) -> None:
    """Raise `Invalid` for a day of another century: it is a slip, and some time zone may move it out of the database's range."""
    if day.year not in SANE_YEARS:
        raise Invalid(f"{field}: {day.year} is not a year of this century.", field=field)


def require_found(view: T | None, noun: str, identifier: object) -> T:
    """Return the view; raise `NotFound` (404) for None."""
    if view is None:
        raise NotFound(noun, identifier)
    return view


async def require_venue_id(db: Database, venue_id: str | None) -> str:
    """The named venue's id, or that of the only venue in the database's scope; raises `VenueRequired` where there are several."""
    if venue_id is not None:
        return venue_id
    venues = await list_venues(db, PageRequest(limit=2))
    if len(venues.items) != 1:
        raise VenueRequired
    return venues.items[0].venue_id


def changes_of(body: Struct) -> dict[str, Any]:
    """The fields that a PATCH names; raises `Invalid` when it names none."""
    fields = changeable_fields(type(body))
    changes = {name: value for name in fields if (value := getattr(body, name)) is not UNSET}
    if not changes:
        raise Invalid(f"Nothing to change: name at least one of {', '.join(fields)}.")
    return changes


def changeable_fields(body: type[Struct]) -> list[str]:
    """The fields of a PATCH that are changes; others, such as a reason, only accompany them."""
    return [field.name for field in msgspec.structs.fields(body) if field.default is UNSET]
