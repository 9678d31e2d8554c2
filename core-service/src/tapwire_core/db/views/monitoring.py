"""The installation for Prometheus: queues with their ages, and each device."""

from typing import Final

import msgspec
from msgspec import Struct

from tapwire_core.db.engine import Database

PENDING_AGES_S: Final = (0, 10, 60, 360, 3_600)
"""Ages of pending pours; those older than each are counted."""


class DeviceGauges(Struct, frozen=True):
    """A device with valid credentials; one that was never seen is offline and has no open facts."""

    path: str
    online: bool
    facts_open: int
    contract_version: str | None


class WebhookGauges(Struct, frozen=True):
    """An enabled webhook."""

    webhook_id: str
    waiting: int
    oldest_waiting_ms: int
    failures: int
    failing_ms: int


class ProgramGauges(Struct, frozen=True):
    """A program that keeps a heartbeat, with the age of its latest one."""

    program: str
    heartbeat_ms: int


class InstallationGauges(Struct, frozen=True):
    """Gauges at one moment. `pending_older_than` goes with `PENDING_AGES_S`; `incidents` counts the unresolved ones by kind."""

    pending_older_than: tuple[int, ...]
    incidents: dict[str, int]
    devices: tuple[DeviceGauges, ...]
    oldest_command_ms: int
    dead_letters: int
    webhooks: tuple[WebhookGauges, ...] = ()
    programs: tuple[ProgramGauges, ...] = ()


_gauges: Final = msgspec.json.Decoder(InstallationGauges)


async def read_gauges(db: Database) -> InstallationGauges:
    """Read all gauges, in one statement."""
    async with db.snapshot() as store:
        found = await store.connection.fetchval(
            """SELECT jsonb_build_object(
                   'pending_older_than', (
                       SELECT jsonb_agg(count ORDER BY age_s) FROM (
                           SELECT age_s, count(pour_id) FROM unnest($1::int[]) AS age_s
                           LEFT JOIN pours ON sync_status = 'pending_sync' AND authorized_at <= now() - age_s * interval '1 second'
                           GROUP BY age_s) AS counted),
                   'incidents', (
                       SELECT coalesce(jsonb_object_agg(kind, count), '{}') FROM (
                           SELECT kind, count(*) FROM incidents WHERE status <> 'resolved' GROUP BY kind) AS counted),
                   'devices', (
                       SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'path', path,
                           'online', coalesce(node.status = 'online', false),
                           'facts_open', coalesce((node.state->>'facts_open')::bigint, 0),
                           'contract_version', node.state->>'contract_version') ORDER BY path), '[]')
                       FROM devices LEFT JOIN node_status node USING (path) WHERE revoked_at IS NULL),
                   'oldest_command_ms', (
                       SELECT coalesce(extract(epoch FROM now() - min(created_at)) * 1000, 0)::bigint FROM command_outbox),
                   'dead_letters', (SELECT count(*) FROM dead_letters),
                   'programs', (
                       SELECT coalesce(jsonb_agg(jsonb_build_object('program', program, 'heartbeat_ms', heartbeat_ms)), '[]')
                       FROM (
                           SELECT program, (extract(epoch FROM now() - max(beat_at)) * 1000)::bigint AS heartbeat_ms
                           FROM program_heartbeats GROUP BY program) AS latest),
                   'webhooks', (
                       SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'webhook_id', webhook_id,
                           'waiting', waiting.count,
                           'oldest_waiting_ms', coalesce(extract(epoch FROM now() - waiting.oldest) * 1000, 0)::bigint,
                           'failures', failures,
                           'failing_ms', coalesce(extract(epoch FROM now() - failing_since) * 1000, 0)::bigint)), '[]')
                       FROM webhooks CROSS JOIN LATERAL (
                           SELECT count(*), min(created_at) AS oldest FROM webhook_deliveries AS delivery
                           WHERE delivery.webhook_id = webhooks.webhook_id AND status = 'pending') AS waiting
                       WHERE enabled))""",
            list(PENDING_AGES_S),
        )
    return _gauges.decode(found)
