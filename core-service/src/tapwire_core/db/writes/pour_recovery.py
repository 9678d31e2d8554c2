"""Visits and their pours, for operators who unlock a visit or settle a pour by hand."""

from uuid import UUID

from msgspec import Struct

from tapwire_core.db.store import Store


class VisitWithoutPour(Struct, frozen=True):
    """A visit without a pending pour; `locked`: its lock columns are set all the same."""

    venue_id: str
    guest_id: UUID
    locked: bool


async def find_pour(store: Store, visit_id: UUID, *, or_latest: bool = False) -> UUID | None:
    """The visit's pending pour, or its latest one if none is pending and `or_latest`."""
    found: UUID | None = await store.connection.fetchval(
        """SELECT pour_id FROM pours WHERE visit_id = $1 AND (sync_status = 'pending_sync' OR $2)
           ORDER BY sync_status = 'pending_sync' DESC, authorized_at DESC LIMIT 1""",
        visit_id,
        or_latest,
    )
    return found


async def lock_visit_without_pour(store: Store, visit_id: UUID) -> VisitWithoutPour | None:
    """Lock a visit that has no pending pour; None when there is no such visit."""
    row = await store.connection.fetchrow(
        """SELECT venue_id, guest_id, active_tap_id IS NOT NULL OR lock_set_at IS NOT NULL AS locked
           FROM visits WHERE visit_id = $1 FOR NO KEY UPDATE""",
        visit_id,
    )
    return VisitWithoutPour(*row) if row else None
