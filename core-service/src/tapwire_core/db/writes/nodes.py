"""Nodes' states, and the commands and questions that are repeated to nodes."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.messages import MISSED_HEARTBEATS, NodeState, PourProgress
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
    Silence ends none: a later state of it makes the node online again, but not the state itself, which a broker may have retained.
    An older state of the same connection still counts as `noted`, so that the caller corrects what it shows to be out of step.
    """
    found = await store.connection.fetchval(
        """WITH noted AS (
               INSERT INTO node_status AS node (path, status, boot_id, connection, state)
               SELECT $1::text, $2, $3::uuid, $4, $5
               WHERE EXISTS (SELECT 1 FROM devices WHERE path = $1::text) OR EXISTS (SELECT 1 FROM taps WHERE tap_path = $1::text)
               ON CONFLICT (path) DO UPDATE SET
                   status = excluded.status, boot_id = excluded.boot_id, connection = excluded.connection,
                   seen_at = CASE
                       WHEN (node.boot_id, node.connection, node.state->'uptime_ms')
                           = (excluded.boot_id, excluded.connection, excluded.state->'uptime_ms')
                           AND excluded.state->>'heartbeat_ms' IS NOT NULL THEN node.seen_at
                       ELSE now() END,
                   state = excluded.state, earlier_boots = CASE
                       WHEN node.boot_id = excluded.boot_id THEN node.earlier_boots
                       ELSE jsonb_build_object(node.boot_id, node.connection) || CASE
                           WHEN (SELECT count(*) FROM jsonb_object_keys(node.earlier_boots)) < $8
                               THEN node.earlier_boots - ARRAY[excluded.boot_id::text, node.boot_id::text]
                           ELSE '{}' END END
               WHERE CASE
                   WHEN node.boot_id <> excluded.boot_id THEN excluded.status = 'online'
                       AND excluded.connection > coalesce((node.earlier_boots->>excluded.boot_id::text)::bigint, -1)
                   WHEN node.connection <> excluded.connection THEN excluded.connection > node.connection
                   ELSE node.state->>'status' = 'online' AND (excluded.status = 'offline'
                       OR (excluded.state->>'uptime_ms')::bigint > (node.state->>'uptime_ms')::bigint
                       OR node.status = 'online' AND excluded.state->'uptime_ms' = node.state->'uptime_ms') END
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


async def store_beats(store: Store, beats: Mapping[str, NodeState]) -> set[str]:
    """Store states that repeat what was stored, in one statement; returns the devices whose state must be stored by itself.

    These are devices whose stored state says something else, or to whose state the core answers: its config is outdated, it pours,
    its odometer is not accounted for, its journal was set back, or two nodes may use its login. A row that another worker is
    writing is left to it.
    """
    rows = await store.connection.fetch(
        """WITH beat AS MATERIALIZED (
               SELECT path, state, (state->>'uptime_ms')::bigint AS uptime_ms, (state->>'boot_id')::uuid AS boot_id,
                   state - 'uptime_ms' AS content
               FROM unnest($1::text[], $2::jsonb[]) AS beat (path, state)),
           known AS MATERIALIZED (
               SELECT beat.*, beat.content = node.state - 'uptime_ms' AND node.status = 'online' AND node.claims IS NULL
                   AND beat.state->>'pour_id' IS NULL
                   AND (tap.tap_path IS NULL OR (
                       tap.config_revision = (beat.state->>'config_revision')::bigint
                       AND ((beat.state->>'facts_open')::bigint > 0
                           OR coalesce(journal.odometer_covered_ml >= (beat.state->>'odometer_ml')::bigint, false))
                       AND NOT coalesce(journal.set_back_boots ? beat.boot_id::text, false)
                       AND journal.suspect_boot_id IS DISTINCT FROM beat.boot_id)) AS is_known
               FROM beat
               LEFT JOIN node_status node USING (path)
               LEFT JOIN taps tap ON tap.tap_path = beat.path
               LEFT JOIN tap_journals journal
                   ON journal.tap_path = beat.path AND journal.journal_id = (beat.state->>'journal_id')::uuid),
           locked AS MATERIALIZED (
               SELECT node.path FROM known JOIN node_status node USING (path)
               WHERE known.is_known AND node.status = 'online' AND node.state - 'uptime_ms' = known.content
                   AND known.uptime_ms > (node.state->>'uptime_ms')::bigint
               ORDER BY node.path FOR NO KEY UPDATE OF node SKIP LOCKED),
           written AS (
               UPDATE node_status node SET seen_at = now(), state = known.state
               FROM known JOIN locked USING (path) WHERE node.path = known.path)
           SELECT path FROM known WHERE is_known IS NOT TRUE""",
        list(beats),
        [to_json(state) for state in beats.values()],
    )
    return {row["path"] for row in rows}


async def store_silence(store: Store, heard_for_ms: int) -> None:
    """Store as offline each node that has missed its heartbeats; its own word, in `state`, stays.

    A node that has promised none is judged by its word alone. A time of the future is from before the database's clock was set
    back: such a node's silence is counted from now on.
    """
    await store.connection.execute(
        """UPDATE node_status SET
               status = CASE WHEN seen_at > now() THEN status ELSE 'offline' END,
               seen_at = least(seen_at, now())
           WHERE path IN (
               SELECT path FROM node_status
               WHERE status = 'online' AND (state->>'heartbeat_ms')::bigint * $1 < $2
                   AND NOT is_recent(seen_at, (state->>'heartbeat_ms')::bigint * $1 * interval '1 millisecond')
               ORDER BY path FOR NO KEY UPDATE SKIP LOCKED)""",
        MISSED_HEARTBEATS,
        heard_for_ms,
    )


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
