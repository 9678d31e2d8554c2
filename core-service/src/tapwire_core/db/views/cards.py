"""Cards, and the guests they are bound to."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Select, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Card, Guest, Venue, Visit
from tapwire_core.db.views.guests import full_name
from tapwire_core.db.views.queries import read_all, read_one, table
from tapwire_core.domain.closed_sets import CardStatus

guests: Final = table(Guest)
cards: Final = table(Card)
visits: Final = table(Visit)
venues: Final = table(Venue)


class CardView(Struct, frozen=True):
    """A card with its guest and its active visit. `deposit_minor`: the guest's deposit on it, and the venue that took it."""

    card_uid: str
    status: CardStatus
    guest_id: UUID | None
    guest_name: str | None
    visit_id: UUID | None
    deposit_minor: int
    deposit_venue_id: str | None


async def get_card(db: Database, card_uid: str) -> CardView | None:
    """One card."""
    return await read_one(db, _cards().where(cards.c.card_uid == card_uid), CardView)


async def cards_by_uid(db: Database, card_uids: Collection[str]) -> list[CardView]:
    """These cards, by their numbers; unknown ones are left out."""
    return await read_all(db, _cards().where(cards.c.card_uid.in_(card_uids)).order_by(cards.c.card_uid), CardView)


def _cards() -> Select[Any]:
    return (
        select(
            cards.c.card_uid,
            cards.c.status,
            cards.c.guest_id,
            full_name().label("guest_name"),
            visits.c.visit_id,
            cards.c.deposit_minor,
            venues.c.venue_id.label("deposit_venue_id"),
        )
        .outerjoin(guests, guests.c.guest_id == cards.c.guest_id)
        .outerjoin(visits, (visits.c.card_uid == cards.c.card_uid) & (visits.c.status == "active"))
        .outerjoin(venues, venues.c.venue_id == cards.c.deposit_venue_id)
    )
