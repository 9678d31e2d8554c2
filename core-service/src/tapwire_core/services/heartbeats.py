"""Heartbeats: each program that runs for ever shows in the database that it is alive, and watches the others."""

from tapwire_contracts.reasons import IncidentKind, Resolution
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import heartbeats
from tapwire_core.domain.actor import CORE
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Program


@use_case
async def beat(store: Store, program: Program, instance: str, interval_ms: int | None = None) -> None:
    """Record a heartbeat, resolve the incident that this program was missing, and raise those of others that are missing.

    The next beat is due after `interval_ms`, without it after the policy's `heartbeat_ms`.
    """
    is_steady = await heartbeats.record_beat(store, program, instance, interval_ms or store.policy.heartbeat_ms)
    changes = Changes.by(CORE, tap_path=None, venue_id=None)
    for incident_id in await heartbeats.lock_incidents_of(store, program):
        comment = f"{program} runs again"
        changes.resolve_incident(incident_id, IncidentKind.PROGRAM_MISSING, Resolution.NO_ACTION, comment)
    if changes.resolved:
        await write_changes(store, changes)
    if is_steady:
        await heartbeats.raise_missing_programs(store)


@use_case
async def announce_worker(store: Store, instance: str) -> list[str]:
    """Record that a core worker hears devices now; returns all workers that do."""
    return await heartbeats.record_listening(store, instance)


@use_case
async def withdraw_worker(store: Store, instance: str) -> None:
    """Record that a core worker no longer hears devices."""
    await heartbeats.end_listening(store, instance)
