"""Warnings about kegs on taps: looked for by each worker every few seconds, so that no decision pays for them."""

from typing import Final

from tapwire_contracts.reasons import Resolution
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import keg_warnings as writes
from tapwire_core.domain.actor import CORE
from tapwire_core.domain.changes import Changes

CAME_OFF: Final = "the keg came off its tap"
REDATED: Final = "the keg has another best-before date"


@use_case
async def watch_kegs(store: Store) -> None:
    """Raise the warnings that are due, each once for good, and end those that no longer hold."""
    await end_warnings(store)
    await writes.raise_warnings(store)


async def end_warnings(store: Store) -> None:
    """Resolve the warnings of kegs that came off their taps, or got another date; also part of the use cases that do so."""
    for ended in await writes.lock_ended_warnings(store):
        changes = Changes.by(CORE, tap_path=ended.tap_path, venue_id=ended.venue_id)
        comment = REDATED if ended.redated else CAME_OFF
        changes.resolve_incident(ended.incident_id, ended.kind, Resolution.NO_ACTION, comment, ended.tap_path)
        await write_changes(store, changes)
