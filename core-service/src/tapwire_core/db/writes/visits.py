"""Visits, with their guests and cards."""

from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import VisitStatus


class LockedVisit(Struct, frozen=True):
    """A visit's row, locked for a change."""

    visit_id: UUID
    venue_id: str
    guest_id: UUID
    card_uid: str | None
    status: VisitStatus


class ActiveVisit(Struct, frozen=True):
    """A guest's active visit, and the stages of opening it with its card."""

    visit_id: UUID
    venue_id: str
    card_uid: str | None
    opening_stages: list[str] | None


class PourOfVisit(Struct, frozen=True):
    """A pour's state."""

    sync_status: SyncStatus
    volume_ml: int


async def lock_visit(store: Store, visit_id: UUID) -> LockedVisit | None:
    """Lock a visit's row for a change."""
    row = await store.connection.fetchrow(
        "SELECT visit_id, venue_id, guest_id, card_uid, status FROM visits WHERE visit_id = $1 FOR NO KEY UPDATE", visit_id
    )
    return as_struct(row, LockedVisit)


async def active_visit_of_guest(store: Store, guest_id: UUID) -> ActiveVisit | None:
    """The guest's active visit; the guest's lock keeps another from being opened."""
    row = await store.connection.fetchrow(
        "SELECT visit_id, venue_id, card_uid, opening_stages FROM visits WHERE guest_id = $1 AND status = 'active'", guest_id
    )
    return as_struct(row, ActiveVisit)


async def pending_pours_of_visit(store: Store, visit_id: UUID) -> list[UUID]:
    """The visit's pending pours."""
    rows = await store.connection.fetch("SELECT pour_id FROM pours WHERE visit_id = $1 AND sync_status = 'pending_sync'", visit_id)
    return [row["pour_id"] for row in rows]


async def pour_of_visit(store: Store, visit_id: UUID, pour_id: UUID) -> PourOfVisit | None:
    """A pour of the visit; the visit's lock keeps it unchanged."""
    row = await store.connection.fetchrow(
        "SELECT sync_status, volume_ml FROM pours WHERE pour_id = $1 AND visit_id = $2", pour_id, visit_id
    )
    return as_struct(row, PourOfVisit)


async def close_visit(store: Store, actor: Actor, visit_id: UUID) -> None:
    """Close a visit, and clear a lock without a pending pour."""
    await store.connection.execute(
        """UPDATE visits SET status = 'closed', closed_at = now(), closed_by = $2, active_tap_id = NULL, lock_set_at = NULL
           WHERE visit_id = $1""",
        visit_id,
        actor.name,
    )
