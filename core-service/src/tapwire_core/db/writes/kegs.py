"""Kegs and their beverages."""

from uuid import UUID

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.closed_sets import KegStatus


class LockedKeg(Struct, frozen=True):
    """A keg's row, locked for a change."""

    keg_id: UUID
    venue_id: str
    beverage_id: UUID
    status: KegStatus
    book_volume_ml: int


async def lock_keg(store: Store, keg_id: UUID) -> LockedKeg | None:
    """Lock a keg's row for a change."""
    row = await store.connection.fetchrow(
        "SELECT keg_id, venue_id, beverage_id, status, book_volume_ml FROM kegs WHERE keg_id = $1 FOR NO KEY UPDATE", keg_id
    )
    return as_struct(row, LockedKeg)


async def cleaned_lately_ml(store: Store, keg_id: UUID) -> int:
    """Sum a locked keg's line cleaning of the last 24 hours."""
    return int(
        await store.connection.fetchval(
            """SELECT coalesce(sum(volume_ml), 0) FROM stock_movements
               WHERE keg_id = $1 AND kind = 'line_cleaning' AND is_recent(created_at, interval '1 day')""",
            keg_id,
        )
    )


async def beverage_of_keg(store: Store, keg_id: UUID) -> UUID | None:
    """Read a keg's beverage, which never changes."""
    found: UUID | None = await store.connection.fetchval("SELECT beverage_id FROM kegs WHERE keg_id = $1", keg_id)
    return found
