"""Guests and their accounts."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import ARRAY, ColumnElement, Integer, Select, Text, case, cast, func, literal, or_, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Card, Guest, Venue, Visit
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_one, read_page, table, with_items
from tapwire_core.db.views.search_ids import guests_found, guests_with_phone, has_whole_words
from tapwire_core.domain.closed_sets import CardStatus, SearchNoun
from tapwire_core.domain.names import ERASED_GUEST, mask_phone
from tapwire_core.domain.search import query_of

guests: Final = table(Guest)
cards: Final = table(Card)
visits: Final = table(Visit)
venues: Final = table(Venue)


PERSONAL: Final = frozenset({"phone", "birth_date"})
"""What a shift lead alone reads in whole, on the guest's own page."""


class GuestView(Struct, frozen=True, kw_only=True):
    """A guest and the account, in minor units; `available_minor` is the balance less the holds of pending pours.

    `house_credit_minor`: what of it the house gave and does not pay out; `refundable_minor`: the most that can be paid out.

    An operator gets the telephone number masked, and no birth date.
    """

    guest_id: UUID
    first_name: str | None
    last_name: str | None
    shown_name: str
    """The name, or of a guest without one the last four digits of the card."""
    phone: str | None
    birth_date: date | UnsetType | None = UNSET
    age_checked_by: str | None
    age_checked_at: datetime | None
    of_age: bool
    """By the birth date or a check, at the venue with the highest legal age."""
    age_known: bool
    """False without a birth date and without a check."""
    blocked: bool
    balance_minor: int
    held_minor: int
    available_minor: int
    house_credit_minor: int
    refundable_minor: int
    currency: str
    cards: tuple[str, ...]
    lost_cards: tuple[str, ...]
    active_visit_id: UUID | None
    created_at: datetime
    erased_at: datetime | None
    erasure_due_at: datetime | None
    """Since when an erasure that a restore took back waits until all is settled."""

    @property
    def has_personal_data(self) -> bool:
        """True if there is anything that an operator may not read in whole."""
        return self.phone is not None or self.birth_date is not None


async def list_guests(
    db: Database, *, search: str | None = None, phone: str | None = None, page: PageRequest = FIRST_PAGE
) -> Page[GuestView]:
    """Guests, the newest first, as far as they match `search` and have exactly this `phone`.

    With `search` and no `sort` those that have the typed words whole come first.
    """
    statement = _guests(db)
    order: list[ColumnElement[Any]] = [guests.c.created_at, guests.c.guest_id]
    if phone is not None:
        statement = statement.where(guests.c.guest_id.in_(guests_with_phone(phone)))
    if search is not None:
        query = query_of(search)
        statement = statement.where(guests.c.guest_id.in_(guests_found(query)))
        if page.sort is None:
            order.insert(0, has_whole_words(SearchNoun.GUEST, guests.c.guest_id, query))
    return await read_page(db, statement, GuestView, order, page, newest_first=True)


async def get_guest(db: Database, guest_id: UUID) -> GuestView | None:
    """One guest."""
    return await read_one(db, _guests(db).where(guests.c.guest_id == guest_id), GuestView)


async def names_of_guests(db: Database, guest_ids: Collection[UUID]) -> dict[str, str]:
    """Guests' names by id, as text like in the audit log; ids of no guest are left out."""
    if not guest_ids:
        return {}
    statement = select(cast(guests.c.guest_id, Text).label("guest_id"), full_name().label("name"))
    async with db.read() as connection:
        rows = await connection.execute(statement.where(guests.c.guest_id.in_(guest_ids)))
        return {row.guest_id: row.name for row in rows}


def full_name() -> ColumnElement[Any]:
    """A guest's full name, as far as it is known; without one the last four digits of the card. Null without a guest.

    `ERASED_GUEST` for one who was erased.
    """
    named = or_(guests.c.first_name.is_not(None), guests.c.last_name.is_not(None))
    return case(
        (guests.c.erased_at.is_not(None), literal(ERASED_GUEST)),
        (named, func.concat_ws(" ", guests.c.first_name, guests.c.last_name)),
        (guests.c.guest_id.is_not(None), func.name_by_card(guests.c.guest_id)),
    )


class GuestInList(Struct, frozen=True):
    """A guest as lists show one: the telephone number masked, and of the birth date only whether the guest is of age."""

    guest_id: UUID
    first_name: str | None
    last_name: str | None
    shown_name: str
    phone: str | None
    of_age: bool
    blocked: bool
    balance_minor: int
    held_minor: int
    available_minor: int
    currency: str
    cards: tuple[str, ...]
    lost_cards: tuple[str, ...]
    active_visit_id: UUID | None
    created_at: datetime
    erased_at: datetime | None


def in_list(page: Page[GuestView]) -> Page[GuestInList]:
    """A page of guests without their personal data."""
    items = (msgspec.structs.asdict(guest) | {"phone": mask_phone(guest.phone)} for guest in page.items)
    return with_items(page, (msgspec.convert(item, GuestInList) for item in items))


def masked(guest: GuestView) -> GuestView:
    """A guest as an operator reads one."""
    return msgspec.structs.replace(guest, phone=mask_phone(guest.phone), birth_date=UNSET)


def _of_age() -> ColumnElement[bool]:
    highest = select(func.coalesce(func.max(venues.c.legal_age), 0)).scalar_subquery()
    by_birth = guests.c.birth_date + func.make_interval(cast(highest, Integer)) <= func.current_date()
    return case((guests.c.birth_date.is_not(None), by_birth), else_=guests.c.age_checked_at.is_not(None))


def _cards_of_guest(status: CardStatus) -> ColumnElement[Any]:
    uids = func.coalesce(func.array_agg(cast(cards.c.card_uid, Text)), cast([], ARRAY(Text)))
    return select(uids).where(cards.c.guest_id == guests.c.guest_id, cards.c.status == status.value).scalar_subquery()


def _guests(db: Database) -> Select[Any]:
    available = guests.c.balance_minor - guests.c.held_minor
    visit = select(visits.c.visit_id).where(visits.c.guest_id == guests.c.guest_id, visits.c.status == "active").scalar_subquery()
    return select(
        *guests.c,
        full_name().label("shown_name"),
        available.label("available_minor"),
        func.greatest(available - guests.c.house_credit_minor, 0).label("refundable_minor"),
        literal(db.policy.currency).label("currency"),
        _of_age().label("of_age"),
        or_(guests.c.birth_date.is_not(None), guests.c.age_checked_at.is_not(None)).label("age_known"),
        _cards_of_guest(CardStatus.BOUND).label("cards"),
        _cards_of_guest(CardStatus.LOST).label("lost_cards"),
        visit.label("active_visit_id"),
    )
