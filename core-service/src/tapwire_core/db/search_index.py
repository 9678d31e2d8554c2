"""The search index of everything that is there: for the migration that began it."""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from tapwire_core.domain.closed_sets import SearchNoun
from tapwire_core.domain.search import guest_words, words_of


def fill_search_index(connection: Connection) -> None:
    """Write the search words of all guests, beverages and taps."""
    connection.execute(text("DELETE FROM search_entries"))
    if entries := list(_entries(connection)):
        connection.execute(
            text("INSERT INTO search_entries (noun, id, words) VALUES (:noun, :id, array_to_tsvector(CAST(:words AS text[])))"),
            entries,
        )


def _entries(connection: Connection) -> Iterator[dict[str, object]]:
    for guest in connection.execute(text("SELECT guest_id, first_name, last_name, phone FROM guests")):
        words = guest_words(guest.first_name, guest.last_name, guest.phone)
        yield {"noun": SearchNoun.GUEST.value, "id": str(guest.guest_id), "words": words}
    for beverage in connection.execute(text("SELECT beverage_id, name, style FROM beverages")):
        yield {"noun": SearchNoun.BEVERAGE.value, "id": str(beverage.beverage_id), "words": words_of(beverage.name, beverage.style)}
    for tap in connection.execute(text("SELECT tap_path, tap_id, name FROM taps")):
        yield {"noun": SearchNoun.TAP.value, "id": tap.tap_path, "words": words_of(tap.tap_id, tap.name)}
