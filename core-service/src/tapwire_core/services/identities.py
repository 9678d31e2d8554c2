"""Two nodes with one login: found by their states, and over when one stays away."""

from tapwire_contracts.messages import NodeState
from tapwire_contracts.reasons import IncidentKind, Resolution
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import identities
from tapwire_core.db.writes.identities import LockedIdentity
from tapwire_core.domain.actor import CORE
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.identities import Claims


async def look_at_claims(store: Store, path: DevicePath, state: NodeState) -> None:
    """Judge a state of a tap where a superseded boot has spoken, or a check runs."""
    found = await identities.lock_identity(store, str(path))
    if found is None:
        return
    if found.claims is None:
        await _make_revision(store, found)
        return
    claims = found.claims.heard(state.boot_id, state.config_revision)
    if claims is found.claims:
        return
    await identities.store_claims(store, found.path, claims)
    if claims.is_conflict:
        await identities.set_conflict(store, found.path, lasts=True)
        changes = Changes.by(CORE, tap_path=found.path, venue_id=found.venue_id)
        details = {"boots": [str(boot) for boot in claims.named], "wait_ms": store.policy.identity_conflict_ms}
        changes.raise_incident(IncidentKind.IDENTITY_CONFLICT, found.path, details)
        await write_changes(store, changes)


@use_case
async def watch_identities(store: Store) -> None:
    """Look again at each conflict, and end those of which one node has stayed away for `identity_conflict_ms`."""
    wait_ms = store.policy.identity_conflict_ms
    for path in await identities.find_claims(store):
        found = await identities.lock_identity(store, path)
        if found is None or found.claims is None:
            continue
        if found.conflict_ms is None:
            if found.claims.is_over(found.now_ms, wait_ms):
                await identities.store_claims(store, path, None)
        elif not 0 <= found.now_ms - found.conflict_ms <= wait_ms:
            await _end(store, found)
        elif found.claims.is_due_again(found.now_ms, wait_ms):
            await _make_revision(store, found)


async def _make_revision(store: Store, found: LockedIdentity) -> None:
    """Publish the tap's config under a new revision: a boot that names it is there now."""
    claims = Claims(revision=found.next_revision, boots=found.boots, made_ms=found.now_ms)
    await identities.store_claims(store, found.path, claims)
    await identities.make_revision(store, found.path, found.next_revision)
    await store.publish_config(found.path)


async def _end(store: Store, found: LockedIdentity) -> None:
    await identities.store_claims(store, found.path, None)
    await identities.set_conflict(store, found.path, lasts=False)
    if found.incident_id is not None:
        changes = Changes.by(CORE, tap_path=found.path, venue_id=found.venue_id)
        comment = f"only one node was there for {store.policy.identity_conflict_ms // 1000} s"
        changes.resolve_incident(found.incident_id, IncidentKind.IDENTITY_CONFLICT, Resolution.NO_ACTION, comment, found.path)
        await write_changes(store, changes)
