"""Pours without a report: reconcile, force-unlock, void (SYSTEM.md, "When no report comes")."""

from uuid import UUID

from tapwire_contracts.reasons import AuditAction, StopReason, SyncStatus
from tapwire_core.db.decisions import LockedPour, lock_pour, write_changes
from tapwire_core.db.engine import moves_money, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes.pour_recovery import find_pour, lock_visit_without_pour
from tapwire_core.domain import pour_recovery
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.change_records import LockCleared
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.pours import PourEvent
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.guests import require_guest_of_visit


class PourNotPending(Refused):
    """The pour has ended; `sync_status` is its final state."""

    code = "pour_not_pending"


class AlreadyReconciled(Refused):
    """The pour was reconciled with another volume; correct it by an adjustment."""

    code = "already_reconciled"


class NotLocked(Refused):
    """The visit has no pending pour and no lock."""

    code = "not_locked"


@use_case
@moves_money
async def reconcile_pour(
    store: Store,
    actor: Actor,
    visit_id: UUID,
    *,
    volume_ml: int,
    reason: str,
    comment: str | None = None,
    pour_id: UUID | None = None,
) -> UUID:
    """Settle a pending pour by hand at its frozen price, and return its id; idempotent.

    `pour_id` defaults to the visit's pending pour, or its latest if none is pending.
    """
    if not 0 <= volume_ml <= store.policy.max_report_ml:
        raise Invalid(
            f"volume_ml must be 0 to {store.policy.max_report_ml}.",
            field="volume_ml",
            max_volume_ml=store.policy.max_report_ml,
        )
    locked = await _lock(store, visit_id, pour_id or await find_pour(store, visit_id, or_latest=True))
    pour = locked.pour
    if pour.sync_status is SyncStatus.RECONCILED:
        if pour.volume_ml == volume_ml:
            return pour.pour_id
        raise AlreadyReconciled(
            f"The pour was already reconciled with {pour.volume_ml} ml: correct it by an adjustment.",
            pour_id=pour.pour_id,
            volume_ml=pour.volume_ml,
        )
    require_pending(pour.pour_id, pour.sync_status, pour.volume_ml)
    changes = _changes(locked, actor)
    pour_recovery.reconcile(pour, volume_ml, reason, comment, changes)
    await write_changes(store, changes)
    return pour.pour_id


@use_case
async def force_unlock(store: Store, actor: Actor, visit_id: UUID, *, reason: str, pour_id: UUID | None = None) -> None:
    """Void a visit's pending pour and free its hold and leases; also clear a lock that no pending pour explains."""
    pending_id = pour_id or await find_pour(store, visit_id)
    if pending_id is not None:
        await _void(store, actor, visit_id, pending_id, PourEvent.UNLOCKED_BY_HAND, reason)
        return
    visit = await lock_visit_without_pour(store, visit_id)
    if visit is None:
        raise NotFound("visit", visit_id)
    await require_guest_of_visit(store, visit_id)
    if not visit.locked:
        raise NotLocked("This visit has no pending pour and no lock: there is nothing to unlock.", visit_id=visit_id)
    changes = Changes.by(actor, venue_id=visit.venue_id)
    changes.lock_cleared = LockCleared(visit_id=visit_id)
    details = {"reason": reason, "lock": "no pending pour explained it"}
    changes.audit(AuditAction.VISIT_FORCE_UNLOCK, visit_id, visit.guest_id, details=details)
    await write_changes(store, changes)


async def void_pending_pour(store: Store, actor: Actor, visit_id: UUID, pour_id: UUID | None, reason: str) -> UUID | None:
    """Void a visit's pending pour so that the visit can be closed; return its id, or None when none was pending."""
    pending_id = pour_id or await find_pour(store, visit_id)
    if pending_id is not None:
        await _void(store, actor, visit_id, pending_id, PourEvent.VISIT_CLOSED, reason)
    return pending_id


async def _void(store: Store, actor: Actor, visit_id: UUID, pour_id: UUID, event: PourEvent, reason: str) -> None:
    locked = await _lock(store, visit_id, pour_id)
    require_pending(pour_id, locked.pour.sync_status, locked.pour.volume_ml)
    changes = _changes(locked, actor)
    if event is PourEvent.UNLOCKED_BY_HAND:
        pour_recovery.void(locked.pour, event, AuditAction.VISIT_FORCE_UNLOCK, StopReason.FORCE_UNLOCKED, reason, changes)
    else:
        pour_recovery.void(locked.pour, event, AuditAction.POUR_VOIDED, StopReason.VISIT_CLOSED, reason, changes)
    await write_changes(store, changes)


async def _lock(store: Store, visit_id: UUID, pour_id: UUID | None) -> LockedPour:
    if pour_id is None:
        raise NotFound("pour of visit", visit_id)
    locked = await lock_pour(store, pour_id)
    if locked is None or locked.pour.visit_id != visit_id:
        raise NotFound("pour of this visit", pour_id)
    if locked.pour.sync_status is not SyncStatus.PENDING_SYNC:
        await require_guest_of_visit(store, visit_id)
    return locked


def require_pending(pour_id: UUID, sync_status: SyncStatus, volume_ml: int) -> None:
    """Raise `PourNotPending` for a pour that has ended; the caller holds its visit's lock, so it can't end meanwhile."""
    if sync_status is not SyncStatus.PENDING_SYNC:
        raise PourNotPending(f"The pour is already {sync_status}.", pour_id=pour_id, sync_status=sync_status, volume_ml=volume_ml)


def _changes(locked: LockedPour, actor: Actor) -> Changes:
    pour = locked.pour
    return Changes.by(actor, tap_path=pour.tap_path, venue_id=pour.venue_id, shift_id=locked.shift_id, kegs=pour.kegs)
