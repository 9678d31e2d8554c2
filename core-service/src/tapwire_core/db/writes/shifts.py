"""Shifts. Taking cash and opening a visit share-lock the open shift's row; closing the shift locks it exclusively.

A closing transaction waits for nothing once it has the row, so the share lock can't be part of a deadlock.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.store import Store, to_json
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import ShiftStatus


class LockedShift(Struct, frozen=True):
    """A shift's row, locked for a change."""

    shift_id: UUID
    venue_id: str
    status: ShiftStatus
    has_z_report: bool
    count_cash: bool


_LOCKED: Final = "shift_id, venue_id, status, z_report IS NOT NULL AS has_z_report, count_cash"
_GUEST_NAME: Final = "coalesce(nullif(concat_ws(' ', first_name, last_name), ''), name_by_card(guest_id))"


class BlockingVisit(Struct, frozen=True):
    """An active visit that blocks the end of a shift, with the data to find the guest."""

    visit_id: UUID
    guest_id: UUID
    guest_name: str
    card_uid: str | None
    opened_at: datetime
    age_ms: int


class BlockingPour(Struct, frozen=True):
    """A pending pour that blocks the end of a shift, with its tap and guest."""

    pour_id: UUID
    visit_id: UUID
    guest_id: UUID
    guest_name: str
    tap: str
    authorized_at: datetime
    age_ms: int


async def open_shift_id(store: Store, venue_id: str) -> UUID | None:
    """Share-lock the venue's open shift, and return its id; None when none is open."""
    found: UUID | None = await store.connection.fetchval(
        "SELECT shift_id FROM shifts WHERE venue_id = $1 AND status = 'open' FOR SHARE", venue_id
    )
    return found


async def lock_open_shift(store: Store, venue_id: str) -> LockedShift | None:
    """Lock the venue's open shift exclusively, to close it; None when none is open."""
    row = await store.connection.fetchrow(
        f"SELECT {_LOCKED} FROM shifts WHERE venue_id = $1 AND status = 'open' FOR UPDATE",  # noqa: S608 - ours
        venue_id,
    )
    return as_struct(row, LockedShift)


async def lock_shift(store: Store, shift_id: UUID) -> LockedShift | None:
    """Lock a shift's row for a change."""
    row = await store.connection.fetchrow(
        f"SELECT {_LOCKED} FROM shifts WHERE shift_id = $1 FOR NO KEY UPDATE",  # noqa: S608 - ours
        shift_id,
    )
    return as_struct(row, LockedShift)


async def active_visits(store: Store, venue_id: str, limit: int) -> list[BlockingVisit]:
    """Visits that block the end of the venue's shift, oldest first."""
    rows = await store.connection.fetch(
        f"""SELECT visit_id, guest_id, {_GUEST_NAME} AS guest_name, card_uid, opened_at,
                  floor(extract(epoch FROM now() - opened_at) * 1000)::bigint AS age_ms
           FROM visits JOIN guests USING (guest_id)
           WHERE venue_id = $1 AND status = 'active' ORDER BY opened_at LIMIT $2""",  # noqa: S608 - ours
        venue_id,
        limit,
    )
    return [msgspec.convert(dict(row), BlockingVisit) for row in rows]


async def pending_pours(store: Store, venue_id: str, limit: int) -> list[BlockingPour]:
    """Pours that block the end of the venue's shift, oldest first."""
    rows = await store.connection.fetch(
        f"""SELECT pour_id, visit_id, guest_id, {_GUEST_NAME} AS guest_name, tap_path AS tap, authorized_at,
                  floor(extract(epoch FROM now() - authorized_at) * 1000)::bigint AS age_ms
           FROM pours JOIN guests USING (guest_id)
           WHERE venue_id = $1 AND sync_status = 'pending_sync' ORDER BY authorized_at LIMIT $2""",  # noqa: S608 - ours
        venue_id,
        limit,
    )
    return [msgspec.convert(dict(row), BlockingPour) for row in rows]


class InUse(Struct, frozen=True):
    """Numbers of what blocks the end of a venue's shift."""

    active_visits: int
    pending_pours: int


async def count_in_use(store: Store, venue_id: str) -> InUse:
    """Count all that `active_visits` and `pending_pours` list."""
    row = await store.connection.fetchrow(
        """SELECT (SELECT count(*) FROM visits WHERE venue_id = $1 AND status = 'active') AS active_visits,
               (SELECT count(*) FROM pours WHERE venue_id = $1 AND sync_status = 'pending_sync') AS pending_pours""",
        venue_id,
    )
    return InUse(**row)


async def close_shift(store: Store, actor: Actor, shift_id: UUID) -> None:
    """Close a shift."""
    await store.connection.execute(
        "UPDATE shifts SET status = 'closed', closed_at = now(), closed_by = $2 WHERE shift_id = $1", shift_id, actor.name
    )


async def keep_z_report(store: Store, actor: Actor, shift_id: UUID, report: Any) -> None:
    """Store a shift's Z report."""
    await store.connection.execute(
        "UPDATE shifts SET z_report = $2, z_report_at = now(), z_report_by = $3 WHERE shift_id = $1",
        shift_id,
        to_json(report),
        actor.name,
    )
