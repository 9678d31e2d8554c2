"""Venues and their emergency stop."""

from typing import Any

from tapwire_core.db.store import Store


async def sole_venue_id(store: Store) -> str | None:
    """The id of the only venue; None when there are none or several."""
    rows = await store.connection.fetch("SELECT venue_id FROM venues LIMIT 2")
    return rows[0]["venue_id"] if len(rows) == 1 else None


async def venue_exists(store: Store, venue_id: str) -> bool:
    """Return whether the venue exists."""
    return bool(await store.connection.fetchval("SELECT true FROM venues WHERE venue_id = $1", venue_id))


async def lock_venue(store: Store, venue_id: str) -> bool:
    """Lock the venue's row for a change; False when there is no such venue."""
    return bool(await store.connection.fetchval("SELECT true FROM venues WHERE venue_id = $1 FOR NO KEY UPDATE", venue_id))


async def minors_allowed(store: Store, venue_id: str) -> bool:
    """Return whether guests under age may get a visit without alcohol."""
    return bool(await store.connection.fetchval("SELECT minors_allowed FROM venues WHERE venue_id = $1", venue_id))


async def legal_age(store: Store, venue_id: str) -> int:
    """The minimum age in years of the venue's guests."""
    found: int = await store.connection.fetchval("SELECT legal_age FROM venues WHERE venue_id = $1", venue_id)
    return found


async def is_time_zone(store: Store, name: str) -> bool:
    """Return whether the database, which makes the reports, knows the time zone."""
    return bool(await store.connection.fetchval("SELECT true FROM pg_timezone_names WHERE name = $1", name))


async def lock_taps_of_venue(store: Store, venue_id: str) -> list[str]:
    """Lock all taps of a venue, in the order of their paths, and return the paths."""
    rows: list[Any] = await store.connection.fetch(
        "SELECT tap_path FROM taps WHERE venue_id = $1 ORDER BY tap_path FOR NO KEY UPDATE", venue_id
    )
    return [row["tap_path"] for row in rows]


async def counts_cash(store: Store, venue_id: str) -> bool:
    """True if the venue's shifts count their drawer."""
    return bool(await store.connection.fetchval("SELECT count_cash FROM venues WHERE venue_id = $1", venue_id))
