"""Kegs and their beverages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.closed_sets import KegFinish, KegStatus
from tapwire_core.domain.kegs import FINAL

_LOCKED: Final = "keg_id, venue_id, beverage_id, status, initial_volume_ml, book_volume_ml, finish, finished_at"


class LockedKeg(Struct, frozen=True):
    """A keg's row, locked for a change."""

    keg_id: UUID
    venue_id: str
    beverage_id: UUID
    status: KegStatus
    initial_volume_ml: int
    book_volume_ml: int
    finish: KegFinish | None
    finished_at: datetime | None


async def lock_keg(store: Store, keg_id: UUID) -> LockedKeg | None:
    """Lock a keg's row for a change."""
    row = await store.connection.fetchrow(
        f"SELECT {_LOCKED} FROM kegs WHERE keg_id = $1 FOR NO KEY UPDATE",  # noqa: S608 - ours
        keg_id,
    )
    return as_struct(row, LockedKeg)


async def lock_kegs(store: Store, *keg_ids: UUID) -> dict[UUID, LockedKeg]:
    """Lock the rows of these kegs for a change, those that there are."""
    rows = await store.connection.fetch(
        f"SELECT {_LOCKED} FROM kegs WHERE keg_id = ANY($1) ORDER BY keg_id FOR NO KEY UPDATE",  # noqa: S608 - ours
        keg_ids,
    )
    return {row["keg_id"]: msgspec.convert(dict(row), LockedKeg) for row in rows}


async def add_kegs(store: Store, keg_ids: Sequence[UUID], columns: Mapping[str, object]) -> None:
    """Add kegs that differ in nothing but their id."""
    names = ", ".join(columns)
    places = ", ".join(f"${position}" for position in range(2, len(columns) + 2))
    # column names are our own code's, never input
    statement = f"INSERT INTO kegs (keg_id, {names}) SELECT keg_id, {places} FROM unnest($1::uuid[]) AS keg_id"  # noqa: S608
    await store.connection.execute(statement, keg_ids, *columns.values())


async def note_put_on(store: Store, keg_id: UUID) -> None:
    """Note that a locked keg is on a tap from now on."""
    await store.connection.execute(
        """UPDATE kegs SET tapped_at = coalesce(tapped_at, now()), on_tap_since = now(), finish = NULL, finish_reason = NULL
           WHERE keg_id = $1""",
        keg_id,
    )


async def note_taken_off(store: Store, keg_id: UUID, finish: KegFinish, reason: str | None) -> None:
    """Note that a locked keg came off its tap, kept for later or not."""
    await store.connection.execute(
        """UPDATE kegs SET finish = $2, finish_reason = $3, on_tap_since = NULL,
               finished_at = CASE WHEN $4 THEN now() END, status = CASE WHEN $4 THEN 'retired' ELSE status END,
               on_tap_before_s = on_tap_before_s + coalesce(greatest(0, floor(extract(epoch FROM now() - on_tap_since))::bigint), 0)
           WHERE keg_id = $1""",
        keg_id,
        finish.value,
        reason,
        finish in FINAL,
    )


async def low_percent(store: Store, venue_id: str) -> int:
    """Read the share of a keg's volume at which the venue's kegs are low."""
    return int(await store.connection.fetchval("SELECT keg_low_percent FROM venues WHERE venue_id = $1", venue_id))


async def has_pending_pour(store: Store, keg_id: UUID) -> bool:
    """Return whether a pour of a locked keg is pending."""
    statement = "SELECT EXISTS (SELECT FROM pours WHERE keg_id = $1 AND sync_status = 'pending_sync')"
    return bool(await store.connection.fetchval(statement, keg_id))


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
