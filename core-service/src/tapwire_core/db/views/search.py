"""Search over people, cards, visits, taps and kegs by the words of `tapwire_core.domain.search`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, Select, Text, and_, cast, func, or_, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, Card, Guest, Keg, Tap, Visit
from tapwire_core.db.views.guests import full_name
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_page, table
from tapwire_core.db.views.search_ids import begins, beverages_found, guests_found, has_whole_words, ids_of
from tapwire_core.domain.closed_sets import CardStatus, KegStatus, SearchNoun, VisitStatus
from tapwire_core.domain.search import SearchQuery, query_of

guests: Final = table(Guest)
cards: Final = table(Card)
visits: Final = table(Visit)
taps: Final = table(Tap)
kegs: Final = table(Keg)
beverages: Final = table(Beverage)

SHOWN: Final = 6
"""Results of one kind that are shown; the others are counted."""
MAX_SHOWN: Final = 50

S = TypeVar("S", bound=Struct)


class SearchKind(StrEnum):
    """Kinds of results; each is a field of `SearchResults`."""

    GUESTS = "guests"
    CARDS = "cards"
    VISITS = "visits"
    TAPS = "taps"
    KEGS = "kegs"


class Found(Struct, Generic[S], frozen=True):
    """The best results of one kind, and how many more there are."""

    items: tuple[S, ...]
    more: int


class GuestFound(Struct, frozen=True):
    """A guest; `active_visit_id` where the guest is here."""

    guest_id: UUID
    name: str
    blocked: bool
    active_visit_id: UUID | None


class CardFound(Struct, frozen=True):
    """A card and its guest."""

    card_uid: str
    status: CardStatus
    guest_id: UUID | None
    guest_name: str | None


class VisitFound(Struct, frozen=True):
    """A visit: an active one, or one of any status by its id or its card."""

    visit_id: UUID
    venue_id: str
    guest_name: str
    card_uid: str | None
    status: VisitStatus
    opened_at: datetime


class TapFound(Struct, frozen=True):
    """A tap and the beverage on it."""

    tap: str
    venue_id: str
    tap_id: str
    name: str
    beverage_name: str | None


class KegFound(Struct, frozen=True):
    """A keg, found by its beverage, its tap or its id."""

    keg_id: UUID
    venue_id: str
    beverage_name: str
    status: KegStatus
    tap: str | None
    book_volume_ml: int


class SearchResults(Struct, frozen=True):
    """What was found, by kind."""

    guests: Found[GuestFound]
    cards: Found[CardFound]
    visits: Found[VisitFound]
    taps: Found[TapFound]
    kegs: Found[KegFound]


@dataclass(frozen=True, slots=True)
class _Sought(Generic[S]):
    """One kind's results: a statement, and columns that are their order, together unique."""

    struct: type[S]
    statement: Select[Any]
    order: tuple[ColumnElement[Any], ...]
    newest_first: bool = False


async def search_everything(db: Database, text: str, limit: int = SHOWN) -> SearchResults:
    """Search for people, cards, visits, taps and kegs; the best `limit` of each kind, those that are here now first."""
    query = query_of(text)
    found: dict[str, Found[Any]] = {}
    async with db.read() as connection:
        for kind, sought_by in _SOUGHT.items():
            sought = sought_by(query)
            order = [column.desc() if sought.newest_first else column.asc() for column in sought.order]
            counted = sought.statement.add_columns(func.count().over().label("found")).order_by(*order).limit(limit)
            rows = (await connection.execute(counted)).mappings().all()
            items = tuple(msgspec.convert(dict(row), sought.struct) for row in rows)
            found[kind.value] = Found(items, (rows[0]["found"] - len(items)) if rows else 0)
    return SearchResults(**found)


async def list_found(db: Database, kind: SearchKind, text: str, page: PageRequest = FIRST_PAGE) -> Page[Any]:
    """All results of one kind, page by page, in the order of `search_everything`."""
    sought = _SOUGHT[kind](query_of(text))
    return await read_page(db, sought.statement, sought.struct, sought.order, page, newest_first=sought.newest_first)


def _seek_guests(query: SearchQuery) -> _Sought[GuestFound]:
    active = and_(visits.c.guest_id == guests.c.guest_id, visits.c.status == VisitStatus.ACTIVE.value)
    return _Sought(
        GuestFound,
        select(guests.c.guest_id, full_name().label("name"), guests.c.blocked, visits.c.visit_id.label("active_visit_id"))
        .outerjoin(visits, active)
        .where(or_(guests.c.guest_id.in_(guests_found(query)), guests.c.guest_id == query.identifier)),
        (
            _last(visits.c.visit_id.is_(None)),
            1 - has_whole_words(SearchNoun.GUEST, guests.c.guest_id, query),
            _known_name(),
            guests.c.guest_id,
        ),
    )


def _seek_cards(query: SearchQuery) -> _Sought[CardFound]:
    return _Sought(
        CardFound,
        select(cards.c.card_uid, cards.c.status, cards.c.guest_id, full_name().label("guest_name"))
        .outerjoin(guests, guests.c.guest_id == cards.c.guest_id)
        .where(begins(cards.c.card_uid, query)),
        (cards.c.card_uid,),
    )


def _seek_visits(query: SearchQuery) -> _Sought[VisitFound]:
    return _Sought(
        VisitFound,
        select(
            *(visits.c[name] for name in ("visit_id", "venue_id", "card_uid", "status", "opened_at")),
            full_name().label("guest_name"),
        )
        .join(guests, guests.c.guest_id == visits.c.guest_id)
        .where(
            or_(
                and_(
                    visits.c.status == VisitStatus.ACTIVE.value,
                    or_(visits.c.guest_id.in_(guests_found(query)), begins(visits.c.card_uid, query)),
                ),
                visits.c.visit_id == query.identifier,
            )
        ),
        (visits.c.opened_at, visits.c.visit_id),
        newest_first=True,
    )


def _seek_taps(query: SearchQuery) -> _Sought[TapFound]:
    by_beverage = has_whole_words(SearchNoun.BEVERAGE, kegs.c.beverage_id, query)
    whole = func.greatest(has_whole_words(SearchNoun.TAP, taps.c.tap_path, query), by_beverage, type_=Integer)
    return _Sought(
        TapFound,
        select(
            taps.c.tap_path.label("tap"),
            *(taps.c[name] for name in ("venue_id", "tap_id", "name")),
            beverages.c.name.label("beverage_name"),
        )
        .outerjoin(kegs, kegs.c.keg_id == taps.c.keg_id)
        .outerjoin(beverages, beverages.c.beverage_id == kegs.c.beverage_id)
        .where(or_(taps.c.tap_path.in_(ids_of(SearchNoun.TAP, query.tsquery, Text())), _of_beverage(query))),
        (1 - whole, taps.c.tap_path),
    )


def _seek_kegs(query: SearchQuery) -> _Sought[KegFound]:
    return _Sought(
        KegFound,
        select(
            *(kegs.c[name] for name in ("keg_id", "venue_id", "status", "book_volume_ml")),
            beverages.c.name.label("beverage_name"),
            taps.c.tap_path.label("tap"),
        )
        .join(beverages, beverages.c.beverage_id == kegs.c.beverage_id)
        .outerjoin(taps, taps.c.keg_id == kegs.c.keg_id)
        .where(or_(_of_beverage(query), begins(cast(kegs.c.keg_id, Text), query), kegs.c.keg_id == query.identifier)),
        (
            _last(taps.c.tap_path.is_(None)),
            _last(kegs.c.status == KegStatus.RETIRED.value),
            1 - has_whole_words(SearchNoun.BEVERAGE, kegs.c.beverage_id, query),
            kegs.c.created_at,
            kegs.c.keg_id,
        ),
    )


_SOUGHT: Final[Mapping[SearchKind, Callable[[SearchQuery], _Sought[Any]]]] = {
    SearchKind.GUESTS: _seek_guests,
    SearchKind.CARDS: _seek_cards,
    SearchKind.VISITS: _seek_visits,
    SearchKind.TAPS: _seek_taps,
    SearchKind.KEGS: _seek_kegs,
}


def _of_beverage(query: SearchQuery) -> ColumnElement[bool]:
    return kegs.c.beverage_id.in_(beverages_found(query))


def _last(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Order what has the condition after what has not."""
    return cast(condition, Integer)


def _known_name() -> ColumnElement[str]:
    return cast(func.coalesce(full_name(), ""), Text)
