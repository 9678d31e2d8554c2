"""Synchronisation with the nodes: their states, their odometers, and pours without a report."""

from collections.abc import Mapping
from uuid import uuid4

from tapwire_contracts.messages import MAX_INTEGER, NodeState, PourProgress, PourUnknown, StopPour
from tapwire_contracts.reasons import IncidentKind, Malformation, Presence, StopReason
from tapwire_contracts.topics import DeviceKind, DevicePath
from tapwire_core.db.decisions import lock_odometer, raise_incident, write_changes
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import nodes
from tapwire_core.db.writes.dead_letters import keep_dead_letter
from tapwire_core.domain.actor import CORE
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.odometers import book_holes
from tapwire_core.services.identities import look_at_claims

MAX_REQUESTED_AT_ONCE = 500
"""Largest number of reports requested in one run; the rest come with the next."""


@use_case
async def note_state(store: Store, path: DevicePath, state: NodeState) -> bool:
    """Record a node's state, and correct its differences from the core's. False: no such device is known."""
    noted = await nodes.store_node_state(store, str(path), state)
    if path.kind is not DeviceKind.TAP or state.status is not Presence.ONLINE:
        return noted.device_known
    if state.pour_id is not None and noted.stop is not None:
        await store.send_command(path, StopPour(pour_id=state.pour_id, reason=StopReason(noted.stop)))
    if noted.came_back or noted.checked:
        await look_at_claims(store, path, state)
    if noted.set_back or noted.suspected:
        await _renew_journal(store, path, state, known=noted.set_back)
    if not noted.noted:
        return noted.device_known
    if noted.config_revision is not None and noted.config_revision != state.config_revision:
        await _publish_config_again(store, path, noted.config_revision, state.config_revision)
    proved = noted.covered_ml is not None and noted.covered_ml >= state.odometer_ml
    if state.facts_open == 0 and not noted.pending and not proved:
        await _account_for_odometer(store, path, state)
    return True


@use_case
async def note_beats(store: Store, beats: Mapping[DevicePath, NodeState]) -> list[DevicePath]:
    """Record states that say nothing new, together; returns the devices whose state must be noted by itself."""
    left = await nodes.store_beats(store, {str(path): state for path, state in beats.items()})
    return [path for path in beats if str(path) in left]


@use_case
async def note_silence(store: Store, heard_for_ms: int) -> None:
    """Record as offline each node that has missed its heartbeats, as far as a worker that has listened for so long can tell."""
    await nodes.store_silence(store, heard_for_ms)


async def _renew_journal(store: Store, path: DevicePath, state: NodeState, *, known: bool) -> None:
    """Tell a node whose journal was set back to begin a new one, and raise the incident where this state proves it."""
    changes = Changes.by(CORE, tap_path=str(path), venue_id=path.venue_id)
    proof = {"config_revision": state.config_revision, "odometer_ml": state.odometer_ml}
    changes.note_set_back(state.journal_id, state.boot_id, known=known, **proof)
    await write_changes(store, changes)


async def _publish_config_again(store: Store, path: DevicePath, ours: int, nodes_revision: int) -> None:
    if ours < nodes_revision < MAX_INTEGER:
        await nodes.raise_config_revision(store, str(path), nodes_revision)
    await store.publish_config(path)


async def _account_for_odometer(store: Store, path: DevicePath, state: NodeState) -> None:
    locked = await lock_odometer(store, str(path), state.journal_id)
    if locked is None:
        return
    tap = locked.tap
    changes = Changes.by(CORE, tap_path=str(path), venue_id=tap.venue_id, shift_id=tap.shift_id, kegs=tap.kegs)
    hole_ids = [uuid4() for _ in range(len(locked.odometer.stretches) + 1)]
    max_hole_ml = store.policy.max_report_ml
    book_holes(state.journal_id, state.odometer_ml, locked.odometer, tap, hole_ids, max_hole_ml, changes, state.boot_id)
    await write_changes(store, changes)


@use_case
async def keep_progress(store: Store, latest: dict[str, PourProgress]) -> None:
    """Keep the latest progress of each tap."""
    await nodes.keep_progress(store, latest)


@use_case
async def ask_for_reports(store: Store, ask_again_ms: int) -> list[nodes.AskedAgain]:
    """Raise incidents for pours that have waited too long, and list the pours to ask nodes about now."""
    await nodes.raise_sync_timeouts(store)
    return await nodes.pours_to_ask_for(store, ask_again_ms, MAX_REQUESTED_AT_ONCE)


@use_case
async def note_pour_unknown(store: Store, path: DevicePath, unknown: PourUnknown) -> None:
    """Raise an incident for a pending pour of a journal that its tap has lost: a person must reconcile it."""
    if await nodes.lock_pending_pour(store, str(path), unknown.pour_id):
        details = {"journal_id": str(unknown.journal_id), "hint": "reconcile the pour: its tap's journal is gone"}
        await raise_incident(
            store,
            IncidentKind.JOURNAL_LOST,
            str(unknown.pour_id),
            details,
            tap_path=str(path),
            venue_id=path.venue_id,
            pour_id=unknown.pour_id,
        )


@use_case
async def keep_unusable(store: Store, topic: str, payload: bytes, malformation: Malformation, why: str, device: str | None) -> None:
    """Keep an unusable message as a dead letter; an incident is raised once per device and kind."""
    await keep_dead_letter(store, topic, payload, malformation, why, device=device)


@use_case
async def device_is_known(store: Store, path: DevicePath) -> bool:
    """Return True for a device with credentials or a tap."""
    return await nodes.device_is_known(store, str(path))
