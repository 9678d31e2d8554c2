"""Imports: one at a time, and the rows that are there already."""

from typing import Final

from tapwire_core.db.store import Store
from tapwire_core.domain.names import phone_digits

IMPORT_LOCK: Final = 7_461_709
"""Key of the advisory lock that serialises imports."""

GuestKey = tuple[str, str, str]


async def lock_imports(store: Store) -> None:
    """Wait for other imports, so that two of one file add nothing twice."""
    await store.connection.execute("SELECT pg_advisory_xact_lock($1)", IMPORT_LOCK)


def guest_key(phone: str, first_name: str, last_name: str | None) -> GuestKey:
    """The values that identify a guest in a file; spelling of the number and case of the name don't count."""
    return phone_digits(phone), first_name.casefold(), (last_name or "").casefold()


async def known_guests(store: Store) -> set[GuestKey]:
    """The keys of all guests with a telephone number."""
    rows = await store.connection.fetch("SELECT phone, first_name, last_name FROM guests WHERE phone IS NOT NULL")
    return {guest_key(*row) for row in rows}


async def known_beverages(store: Store) -> set[str]:
    """The names of all beverages that are sold."""
    return {row["name"] for row in await store.connection.fetch("SELECT name FROM beverages WHERE archived_at IS NULL")}
