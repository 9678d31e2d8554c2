"""The words by which things are found."""

from collections.abc import Sequence
from uuid import UUID

from tapwire_core.db.store import Store
from tapwire_core.domain.closed_sets import SearchNoun
from tapwire_core.domain.search import guest_words, words_of


async def index_guest(store: Store, guest_id: UUID) -> None:
    """Write the search words of a guest as the row is now."""
    names = """SELECT first_name, last_name, phone,
                   ARRAY(SELECT right(card_uid, 4) FROM cards WHERE cards.guest_id = guests.guest_id ORDER BY card_uid)
               FROM guests WHERE guest_id = $1"""
    await _write(store, SearchNoun.GUEST, guest_id, guest_words(*await store.connection.fetchrow(names, guest_id)))


async def index_cards_of_guest(store: Store, guest_id: UUID) -> None:
    """Write the search words of a guest whose cards changed; one with a name is found by that."""
    nameless = "SELECT true FROM guests WHERE guest_id = $1 AND first_name IS NULL AND last_name IS NULL"
    if await store.connection.fetchval(nameless, guest_id):
        await index_guest(store, guest_id)


async def index_beverage(store: Store, beverage_id: UUID) -> None:
    """Write the search words of a beverage as the row is now."""
    names = await store.connection.fetchrow("SELECT name, style FROM beverages WHERE beverage_id = $1", beverage_id)
    await _write(store, SearchNoun.BEVERAGE, beverage_id, words_of(*names))


async def index_tap(store: Store, tap_path: str) -> None:
    """Write the search words of a tap as the row is now."""
    names = await store.connection.fetchrow("SELECT tap_id, name FROM taps WHERE tap_path = $1", tap_path)
    await _write(store, SearchNoun.TAP, tap_path, words_of(*names))


async def _write(store: Store, noun: SearchNoun, identifier: object, words: Sequence[str]) -> None:
    await store.connection.execute(
        """INSERT INTO search_entries (noun, id, words) VALUES ($1, $2, array_to_tsvector($3::text[]))
           ON CONFLICT (noun, id) DO UPDATE SET words = excluded.words""",
        noun.value,
        str(identifier),
        list(words),
    )
