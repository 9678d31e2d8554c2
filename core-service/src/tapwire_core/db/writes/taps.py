"""Taps, and the keg on each."""

from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import StopReason
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.closed_sets import TapStatus


class LockedTap(Struct, frozen=True):
    """A tap's row, locked for a change."""

    tap_path: str
    venue_id: str
    status: TapStatus
    keg_id: UUID | None


async def tap_exists(store: Store, tap_path: str) -> bool:
    """Return whether the tap exists."""
    return bool(await store.connection.fetchval("SELECT true FROM taps WHERE tap_path = $1", tap_path))


async def lock_tap(store: Store, tap_path: str) -> LockedTap | None:
    """Lock a tap's row for a change."""
    row = await store.connection.fetchrow(
        "SELECT tap_path, venue_id, status, keg_id FROM taps WHERE tap_path = $1 FOR NO KEY UPDATE", tap_path
    )
    return as_struct(row, LockedTap)


async def tap_of_keg(store: Store, keg_id: UUID) -> str | None:
    """The path of the tap that carries the keg."""
    found: str | None = await store.connection.fetchval("SELECT tap_path FROM taps WHERE keg_id = $1", keg_id)
    return found


async def set_cleaning_interval(store: Store, tap_path: str, days: int | None) -> None:
    """Set after how many days a tap is cleaned again; the same interval again does not start anew."""
    await store.connection.execute(
        """UPDATE taps SET cleaning_interval_days = $2, cleaning_interval_set_at = CASE WHEN $2::bigint IS NOT NULL THEN now() END
           WHERE tap_path = $1 AND cleaning_interval_days IS DISTINCT FROM $2""",
        tap_path,
        days,
    )


async def mark_pour_stopped(store: Store, tap_path: str, reason: StopReason) -> UUID | None:
    """Mark the tap's pending pour as stopped; `stop_pour` is repeated while the node still reports it."""
    found: UUID | None = await store.connection.fetchval(
        "UPDATE pours SET stop_reason = $2 WHERE tap_path = $1 AND sync_status = 'pending_sync' RETURNING pour_id",
        tap_path,
        reason.value,
    )
    return found
