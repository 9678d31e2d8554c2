"""Visits, with their guests and cards."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.reasons import AuditAction, SyncStatus
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import VisitStatus
from tapwire_core.domain.serving_limits import ServingLimit


class LockedVisit(Struct, frozen=True):
    """A visit's row, locked for a change."""

    visit_id: UUID
    venue_id: str
    guest_id: UUID
    card_uid: str | None
    status: VisitStatus
    patrons: int
    alcohol_allowed: bool
    valid_until: datetime | None
    ended_with_shift: bool


class ActiveVisit(Struct, frozen=True):
    """A guest's active visit, and the stages of opening it with its card."""

    visit_id: UUID
    venue_id: str
    card_uid: str | None
    opening_stages: list[str] | None
    patrons: int
    alcohol_allowed: bool


class PourOfVisit(Struct, frozen=True):
    """A pour's state."""

    sync_status: SyncStatus
    volume_ml: int


async def lock_visit(store: Store, visit_id: UUID) -> LockedVisit | None:
    """Lock a visit's row for a change."""
    row = await store.connection.fetchrow(
        """SELECT visit_id, venue_id, guest_id, card_uid, status, patrons, alcohol_allowed, valid_until,
               ended_by_shift_id IS NOT NULL AS ended_with_shift
           FROM visits WHERE visit_id = $1 FOR NO KEY UPDATE""",
        visit_id,
    )
    return as_struct(row, LockedVisit)


async def guest_of_visit(store: Store, visit_id: UUID) -> UUID | None:
    """The visit's guest, who never changes; None when there is no such visit."""
    found: UUID | None = await store.connection.fetchval("SELECT guest_id FROM visits WHERE visit_id = $1", visit_id)
    return found


async def card_of_visit(store: Store, visit_id: UUID) -> str | None:
    """The visit's card, without a lock."""
    found: str | None = await store.connection.fetchval("SELECT card_uid FROM visits WHERE visit_id = $1", visit_id)
    return found


async def end_of_visit_opened_now(store: Store, venue_id: str) -> datetime | None:
    """The end of a visit that is opened now, by the venue's `visit_hours`; None where visits last until they are closed."""
    found: datetime | None = await store.connection.fetchval(
        "SELECT now() + make_interval(hours => visit_hours::int) FROM venues WHERE venue_id = $1", venue_id
    )
    return found


async def extend_visit(store: Store, visit_id: UUID, hours: int) -> datetime:
    """Add hours to the later of the visit's end and now; returns the new end."""
    found: datetime = await store.connection.fetchval(
        """UPDATE visits SET valid_until = greatest(valid_until, now()) + make_interval(hours => $2)
           WHERE visit_id = $1 RETURNING valid_until""",
        visit_id,
        hours,
    )
    return found


async def active_visit_of_guest(store: Store, guest_id: UUID) -> ActiveVisit | None:
    """The guest's active visit; the guest's lock keeps another from being opened."""
    row = await store.connection.fetchrow(
        """SELECT visit_id, venue_id, card_uid, opening_stages, patrons, alcohol_allowed FROM visits
           WHERE guest_id = $1 AND status = 'active'""",
        guest_id,
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


async def lock_active_visits(store: Store, venue_id: str) -> list[UUID]:
    """Lock the venue's active visits for a change, smaller ids first."""
    rows = await store.connection.fetch(
        "SELECT visit_id FROM visits WHERE venue_id = $1 AND status = 'active' ORDER BY visit_id FOR NO KEY UPDATE", venue_id
    )
    return [row["visit_id"] for row in rows]


async def has_other_active_visit(store: Store, venue_id: str, known: Sequence[UUID]) -> bool:
    """True if the venue has an active visit besides these."""
    found: bool = await store.connection.fetchval(
        "SELECT EXISTS (SELECT FROM visits WHERE venue_id = $1 AND status = 'active' AND visit_id <> ALL ($2::uuid[]))",
        venue_id,
        known,
    )
    return found


async def end_visits(store: Store, actor: Actor, visit_ids: Sequence[UUID], shift_id: UUID) -> None:
    """Close locked visits because their shift closes, each with its entry in the audit log.

    They end by the clock, not at the transaction's beginning: what the wait for their locks let in belongs to them.
    """
    await store.connection.execute(
        """WITH ended AS (
               UPDATE visits SET status = 'closed', closed_at = clock_timestamp(), closed_by = $2, ended_by_shift_id = $3,
                   active_tap_id = NULL, lock_set_at = NULL
               WHERE visit_id = ANY ($1::uuid[]) RETURNING visit_id, guest_id, card_uid, venue_id)
           INSERT INTO audit (action, actor, subjects, details, request_id, venue_id)
           SELECT $4, $2, array_remove(ARRAY[visit_id::text, guest_id::text, card_uid, venue_id], NULL),
               jsonb_build_object('shift_id', $3::uuid), $5, venue_id
           FROM ended""",
        visit_ids,
        actor.name,
        shift_id,
        AuditAction.VISIT_CLOSED.value,
        actor.request_id,
    )


class ServedVisit(Struct, frozen=True):
    """The venue's serving limit, and what of a visit counts against it."""

    serving_limit: ServingLimit | None
    used: int | None


async def served_in_visit(store: Store, visit_id: UUID) -> ServedVisit:
    """What counts against the serving limit of a visit; the guest's lock keeps it unchanged."""
    row = await store.connection.fetchrow(
        """SELECT serving_limit_of(serving_limit_measure, serving_limit, serving_limit_window_minutes) AS serving_limit,
               CASE WHEN serving_limit_measure IS NOT NULL THEN (
                   SELECT used FROM served(guest_id, venue_id, serving_limit_measure, serving_limit_window_minutes, NULL))
               END AS used
           FROM visits JOIN venues USING (venue_id) WHERE visit_id = $1""",
        visit_id,
    )
    limit = row["serving_limit"]
    return ServedVisit(None if limit is None else msgspec.json.decode(limit, type=ServingLimit), row["used"])


async def rearm_visit(store: Store, visit: LockedVisit) -> None:
    """Begin to count anew: from now on pours count that are pending, or authorised later. The guest must be locked.

    The time is the clock's, not the transaction's, so that it is after every pour that ended before.
    """
    rearmed_at = await store.connection.fetchval(
        """UPDATE visits SET rearmed_at = greatest(clock_timestamp(), (
               SELECT max(rearmed_at) + interval '1 microsecond' FROM visits WHERE guest_id = $2 AND venue_id = $3))
           WHERE visit_id = $1 RETURNING rearmed_at""",
        visit.visit_id,
        visit.guest_id,
        visit.venue_id,
    )
    await store.connection.execute(
        "UPDATE pours SET armed_at = $3 WHERE guest_id = $1 AND venue_id = $2 AND sync_status = 'pending_sync'",
        visit.guest_id,
        visit.venue_id,
        rearmed_at,
    )


async def patrons_before(store: Store, guest_id: UUID, venue_id: str) -> int | None:
    """The patrons of the guest's last visit that reaches into the serving limit's window; None without one, or without a limit."""
    found: int | None = await store.connection.fetchval(
        """SELECT patrons FROM visits JOIN venues USING (venue_id)
           WHERE guest_id = $1 AND venue_id = $2 AND serving_limit_measure IS NOT NULL
           AND coalesce(closed_at, now()) > coalesce(now() - serving_limit_window_minutes * interval '1 minute', '-infinity')
           ORDER BY opened_at DESC LIMIT 1""",
        guest_id,
        venue_id,
    )
    return found
