"""Checks whether two nodes use one login, beside the latest state of each device."""

from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.store import Store, to_json
from tapwire_core.domain.identities import Claims


class LockedIdentity(Struct, frozen=True, kw_only=True):
    """A tap's check under its locks. `boots`: all that were seen. `next_revision`: of the tap's config.

    `conflict_ms`: the database's time of the last proof; null while there is no conflict.
    """

    path: str
    venue_id: str
    boots: tuple[UUID, ...]
    claims: Claims | None
    next_revision: int
    now_ms: int
    conflict_ms: int | None
    incident_id: UUID | None


async def lock_identity(store: Store, path: str) -> LockedIdentity | None:
    """Lock a tap with its node's state; None when there is no such tap."""
    if await store.connection.fetchval("SELECT true FROM node_status WHERE path = $1 FOR NO KEY UPDATE", path) is None:
        return None
    row = await store.connection.fetchrow("SELECT * FROM taps WHERE tap_path = $1 FOR NO KEY UPDATE", path)
    if row is None:
        return None
    found = await store.connection.fetchval(
        """SELECT jsonb_build_object(
               'path', path,
               'venue_id', venue_id,
               'boots', (SELECT coalesce(jsonb_agg(boot), '[]') FROM jsonb_object_keys(earlier_boots) AS boot) || to_jsonb(boot_id),
               'claims', claims,
               'next_revision', greatest(config_revision, (state->>'config_revision')::bigint) + 1,
               'now_ms', (extract(epoch FROM now()) * 1000)::bigint,
               'conflict_ms', (extract(epoch FROM identity_conflict_at) * 1000)::bigint,
               'incident_id', (
                   SELECT incident_id FROM incidents WHERE kind = 'identity_conflict' AND cause = path AND status <> 'resolved'))
           FROM node_status JOIN taps ON tap_path = path WHERE path = $1""",
        path,
    )
    return msgspec.json.decode(found, type=LockedIdentity)


async def find_claims(store: Store) -> list[str]:
    """The taps with a running check that no other worker looks at."""
    rows = await store.connection.fetch(
        """SELECT path FROM node_status WHERE claims IS NOT NULL AND path IN (SELECT tap_path FROM taps)
           ORDER BY path FOR NO KEY UPDATE SKIP LOCKED"""
    )
    return [row["path"] for row in rows]


async def store_claims(store: Store, path: str, claims: Claims | None) -> None:
    """Store a check, or end it."""
    await store.connection.execute(
        "UPDATE node_status SET claims = $2 WHERE path = $1", path, to_json(claims) if claims is not None else None
    )


async def make_revision(store: Store, path: str, revision: int) -> None:
    """Make this the revision of the tap's config."""
    await store.connection.execute("UPDATE taps SET config_revision = $2 WHERE tap_path = $1", path, revision)


async def set_conflict(store: Store, path: str, *, lasts: bool) -> None:
    """Note that the conflict was proved just now, or that it is over."""
    await store.connection.execute(
        "UPDATE taps SET identity_conflict_at = CASE WHEN $2 THEN now() END WHERE tap_path = $1", path, lasts
    )
