"""Nodes' states, and the commands and questions that are repeated to nodes."""

from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.messages import NodeState, PourProgress
from tapwire_contracts.reasons import StopReason
from tapwire_core.db.store import Store, to_json


class StoredNodeState(Struct, frozen=True):
    """The books' view of a device after its state was stored; `noted`: False for an ignored state.

    `device_known`: it has credentials or a tap. `config_revision`: null when there is no such tap. `covered_ml`: the odometer is
    accounted for up to here. `pending`: a pour leases the tap. `set_back`: the state's boot is proved to have an older copy of its
    journal; `suspected`: this state proves it. `came_back`: the state is of a boot that another one has superseded. `checked`: a
    check runs whether two nodes use the login. `stop`: the stop reason of the pour that its state names, if a person stopped it, or
    the books have ended it while the node pours.
    """

    noted: bool
    device_known: bool
    config_revision: int | None = None
    covered_ml: int | None = None
    pending: bool = False
    stop: str | None = None
    set_back: bool = False
    suspected: bool = False
    came_back: bool = False
    checked: bool = False


class AskedAgain(Struct, frozen=True):
    """A pour to ask the node about."""

    tap_path: str
    pour_id: UUID
    journal_id: UUID


EARLIER_BOOTS_KEPT: Final = 32
"""Boots of a device that are remembered as earlier ones; past it the oldest ones are forgotten together."""

_noted: Final = msgspec.json.Decoder(StoredNodeState)


async def store_node_state(store: Store, path: str, state: NodeState) -> StoredNodeState:
    """Store a device's latest state; a state that is older than the stored one changes nothing.

    Several workers receive a device's states, and store them in any order. A state is older if its boot was superseded and it has
    no higher connection than that boot had; in one boot, if its connection is lower; in one connection, if its `uptime_ms` is
    lower or the connection has ended. `offline` ends a connection: a will has the uptime of the connection's beginning.
    An older state of the same connection still counts as `noted`, so that the caller corrects what it shows to be out of step.
    """
    found = await store.connection.fetchval(
        """WITH noted AS (
               INSERT INTO node_status AS node (path, status, boot_id, connection, state)
               SELECT $1::text, $2, $3::uuid, $4, $5
               WHERE EXISTS (SELECT 1 FROM devices WHERE path = $1::text) OR EXISTS (SELECT 1 FROM taps WHERE tap_path = $1::text)
               ON CONFLICT (path) DO UPDATE SET
                   status = excluded.status, boot_id = excluded.boot_id, connection = excluded.connection,
                   seen_at = now(), state = excluded.state, earlier_boots = CASE
                       WHEN node.boot_id = excluded.boot_id THEN node.earlier_boots
                       ELSE jsonb_build_object(node.boot_id, node.connection) || CASE
                           WHEN (SELECT count(*) FROM jsonb_object_keys(node.earlier_boots)) < $8
                               THEN node.earlier_boots - ARRAY[excluded.boot_id::text, node.boot_id::text]
                           ELSE '{}' END END
               WHERE CASE
                   WHEN node.boot_id <> excluded.boot_id THEN excluded.status = 'online'
                       AND excluded.connection > coalesce((node.earlier_boots->>excluded.boot_id::text)::bigint, -1)
                   WHEN node.connection <> excluded.connection THEN excluded.connection > node.connection
                   ELSE node.status = 'online' AND (excluded.status = 'offline'
                       OR (excluded.state->>'uptime_ms')::bigint >= (node.state->>'uptime_ms')::bigint) END
               RETURNING 1)
           SELECT jsonb_build_object(
               'noted', EXISTS (SELECT 1 FROM noted) OR EXISTS (
                   SELECT 1 FROM node_status WHERE path = $1::text AND boot_id = $3 AND connection = $4 AND status = 'online'),
               'device_known', tap.tap_path IS NOT NULL OR EXISTS (SELECT 1 FROM devices WHERE path = $1::text),
               'config_revision', tap.config_revision,
               'covered_ml', journal.odometer_covered_ml,
               'pending', EXISTS (SELECT 1 FROM pours WHERE tap_path = $1::text AND sync_status = 'pending_sync'),
               'came_back', coalesce(before.boot_id <> $3 AND before.earlier_boots ? $3::uuid::text, false),
               'checked', before.claims IS NOT NULL,
               'set_back', coalesce(journal.set_back_boots ? $3::uuid::text, false),
               'suspected', coalesce(
                   journal.suspect_boot_id = $3 AND ($5::jsonb->>'config_revision')::bigint >= journal.suspect_revision
                   AND NOT journal.set_back_boots ? $3::uuid::text, false),
               'stop', (SELECT coalesce(
                       stop_reason, CASE WHEN sync_status <> 'pending_sync' AND $5::jsonb->>'phase' = 'POURING' THEN $9 END)
                   FROM pours WHERE pour_id = $6 AND tap_path = $1::text))
           FROM (SELECT 1) AS one
           LEFT JOIN node_status before ON before.path = $1::text
           LEFT JOIN taps tap ON tap.tap_path = $1::text
           LEFT JOIN tap_journals journal ON journal.tap_path = $1::text AND journal.journal_id = $7""",
        path,
        state.status.value,
        state.boot_id,
        state.connection,
        to_json(state),
        state.pour_id,
        state.journal_id,
        EARLIER_BOOTS_KEPT,
        StopReason.FORCE_UNLOCKED.value,
    )
    return _noted.decode(found)


async def keep_progress(store: Store, latest: dict[str, PourProgress]) -> None:
    """Store each tap's latest progress, for screens and for a person who must estimate a pour."""
    await store.connection.executemany(
        "UPDATE node_status SET progress = $2, progress_at = now() WHERE path = $1",
        [(path, to_json(progress)) for path, progress in sorted(latest.items())],
    )


async def raise_config_revision(store: Store, tap_path: str, above: int) -> None:
    """Raise the config revision above a node's (higher after a restore), so that the node applies new configs."""
    await store.connection.execute(
        "UPDATE taps SET config_revision = greatest(config_revision, $2::bigint + 1) WHERE tap_path = $1", tap_path, above
    )


async def pours_to_ask_for(store: Store, ask_again_ms: int, limit: int) -> list[AskedAgain]:
    """Find pours pending longer than `start_window_ms` without a report, at most `limit`, and mark them as asked for.

    A pour of the future was granted before the database's clock was set back: it has waited long enough.
    """
    rows = await store.connection.fetch(
        """UPDATE pours SET asked_at = now() WHERE pour_id IN (
               SELECT pour_id FROM pours
               WHERE sync_status = 'pending_sync' AND NOT report_refused AND journal_id IS NOT NULL
               AND NOT is_recent(authorized_at, $1 * interval '1 millisecond')
               AND (asked_at IS NULL OR NOT is_recent(asked_at, $2 * interval '1 millisecond'))
               ORDER BY authorized_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
           RETURNING tap_path, pour_id, journal_id""",
        store.policy.start_window_ms,
        ask_again_ms,
        limit,
    )
    return [AskedAgain(row["tap_path"], row["pour_id"], row["journal_id"]) for row in rows]


async def raise_sync_timeouts(store: Store) -> None:
    """Raise `sync_timeout` for each pour pending longer than `sync_timeout_ms`, once; the pour's end resolves it.

    A pour that far in the future counts too: the database's clock was set back.
    """
    await store.connection.execute(
        """INSERT INTO incidents (incident_id, kind, cause, venue_id, tap_path, pour_id, details)
           SELECT gen_random_uuid(), 'sync_timeout', pour_id::text, venue_id, tap_path, pour_id, jsonb_build_object(
               'visit_id', visit_id, 'guest_id', guest_id, 'card_uid', card_uid, 'max_volume_ml', max_volume_ml,
               'hold_minor', hold_minor, 'authorized_at', authorized_at)
           FROM (
               SELECT * FROM pours
               WHERE sync_status = 'pending_sync'
               AND NOT is_recent(authorized_at, $1 * interval '1 millisecond')
               FOR NO KEY UPDATE SKIP LOCKED) AS pour
           ON CONFLICT (kind, cause) WHERE status <> 'resolved' DO NOTHING""",
        store.policy.sync_timeout_ms,
    )


async def lock_pending_pour(store: Store, tap_path: str, pour_id: UUID) -> bool:
    """Lock this pour of this tap if it is pending, and return whether it is."""
    found = await store.connection.fetchval(
        "SELECT true FROM pours WHERE pour_id = $1 AND tap_path = $2 AND sync_status = 'pending_sync' FOR NO KEY UPDATE",
        pour_id,
        tap_path,
    )
    return found is not None


async def device_is_known(store: Store, path: str) -> bool:
    """Return whether credentials or a tap of this path exist."""
    found = await store.connection.fetchval(
        """SELECT true
           WHERE EXISTS (SELECT 1 FROM devices WHERE path = $1::text) OR EXISTS (SELECT 1 FROM taps WHERE tap_path = $1::text)""",
        path,
    )
    return found is not None
