"""Cleanings of taps: recorded by people, measured by the taps' nodes, and due again after the tap's interval."""

from typing import Final

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import AuditAction, FlowCause, IncidentKind, Resolution
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import cleanings as writes
from tapwire_core.domain.actor import CORE, Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import CleaningKind
from tapwire_core.services.tap_locks import require_tap

MIN_MEASURED_ML: Final = 100
"""A flow of less cleans no line."""


@use_case
async def record_cleaning(
    store: Store,
    actor: Actor,
    tap: DevicePath | str,
    kind: CleaningKind,
    note: str | None = None,
) -> int:
    """Record that a person cleaned a tap's line just now; return the cleaning's id."""
    locked = await require_tap(store, tap)
    cleaning_id = await writes.record_cleaning(store, locked.tap_path, locked.venue_id, kind.value, note, actor.name)
    details = {"cleaning_id": cleaning_id, "kind": kind, "note": note}
    await store.audit(AuditAction.TAP_CLEANED, actor, locked.tap_path, venue_id=locked.venue_id, details=details)
    await end_incidents(store, locked.tap_path, locked.venue_id)
    return cleaning_id


async def record_measured_cleaning(store: Store, actor: Actor, tap_path: str, venue_id: str, flow: UnattributedFlow) -> None:
    """Record the cleaning that a believed flow was, once for its event; part of the flow's transaction, under the tap's lock."""
    if flow.cause is not FlowCause.CLEANING or flow.volume_ml < MIN_MEASURED_ML:
        return
    cleaning_id = await writes.record_measured_cleaning(store, tap_path, venue_id, flow.event_id, flow.volume_ml, flow.age_ms or 0)
    if cleaning_id is not None:
        details = {"cleaning_id": cleaning_id, "kind": None, "volume_ml": flow.volume_ml}
        await store.audit(AuditAction.TAP_CLEANED, actor, tap_path, flow.event_id, venue_id=venue_id, details=details)
        await end_incidents(store, tap_path, venue_id)


@use_case
async def raise_due_cleanings(store: Store) -> None:
    """Raise the incident of each tap whose cleaning has become due; any number of workers raise one."""
    await writes.raise_due(store)


async def end_incidents(store: Store, tap_path: str, venue_id: str) -> None:
    """Resolve the tap's incident `cleaning_due` if none is due any longer."""
    changes = Changes.by(CORE, tap_path=tap_path, venue_id=venue_id)
    for incident_id in await writes.lock_ended_incidents(store, tap_path):
        comment = "no cleaning is due any longer"
        changes.resolve_incident(incident_id, IncidentKind.CLEANING_DUE, Resolution.NO_ACTION, comment, tap_path)
    if changes.resolved:
        await write_changes(store, changes)
