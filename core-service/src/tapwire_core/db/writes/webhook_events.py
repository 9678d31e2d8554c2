"""Webhook events: the cursor in the audit log, and replays to an endpoint."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.views.webhooks import OutgoingEvent
from tapwire_core.db.writes.rows import as_struct


class Subscription(Struct, frozen=True):
    """An enabled endpoint, its event types, and the start of its subscription."""

    webhook_id: UUID
    event_types: tuple[str, ...]
    active_since: datetime


class PendingReplay(Struct, frozen=True):
    """Audit entries that an endpoint still has to get again."""

    webhook_id: UUID
    event_types: tuple[str, ...]
    replay_after: int
    replay_until: int


async def begin_cursor(store: Store) -> datetime:
    """Lock the cursor, create it if needed, and return the time then: events are made from that time on."""
    await store.connection.execute(
        "INSERT INTO webhook_cursor (audit_id) SELECT coalesce(max(audit_id), 0) FROM audit ON CONFLICT (one) DO NOTHING"
    )
    began: datetime = await store.connection.fetchval(
        "SELECT clock_timestamp() FROM (SELECT one FROM webhook_cursor FOR UPDATE) AS locked"
    )
    return began


async def database_time(store: Store) -> datetime:
    """The start of this transaction, by the database's clock."""
    now: datetime = await store.connection.fetchval("SELECT now()")
    return now


async def lock_cursor(store: Store) -> int | None:
    """Lock the cursor and return the last processed audit id; None without a webhook, or when another worker has the lock."""
    found: int | None = await store.connection.fetchval("SELECT audit_id FROM webhook_cursor FOR UPDATE SKIP LOCKED")
    return found


async def move_cursor(store: Store, audit_id: int) -> None:
    """Record that events were made up to this audit id."""
    await store.connection.execute("UPDATE webhook_cursor SET audit_id = $1", audit_id)


async def move_cursor_to_newest(store: Store) -> None:
    """Skip entries that no endpoint subscribes to."""
    await store.connection.execute(
        """UPDATE webhook_cursor SET audit_id = newest.audit_id FROM (SELECT max(audit_id) AS audit_id FROM audit) AS newest
           WHERE webhook_cursor.audit_id < newest.audit_id"""
    )


async def list_subscriptions(store: Store) -> list[Subscription]:
    """The enabled endpoints."""
    rows = await store.connection.fetch("SELECT webhook_id, event_types, active_since FROM webhooks WHERE enabled")
    return [Subscription(row["webhook_id"], tuple(row["event_types"]), row["active_since"]) for row in rows]


async def store_events(store: Store, events: Sequence[OutgoingEvent]) -> None:
    """Store events; an event that is already stored stays unchanged."""
    await store.connection.execute(
        """INSERT INTO webhook_events (event_id, audit_id, event_type, occurred_at, payload)
           SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[])
           ON CONFLICT (event_id) DO NOTHING""",
        [event.event_id for event in events],
        [event.audit_id for event in events],
        [event.event_type.value for event in events],
        [event.occurred_at for event in events],
        [event.payload for event in events],
    )


async def audit_id_of_event(store: Store, event_id: UUID) -> int | None:
    """The audit id of an event, while the event is stored."""
    found: int | None = await store.connection.fetchval("SELECT audit_id FROM webhook_events WHERE event_id = $1", event_id)
    return found


async def audit_id_before(store: Store, moment: datetime) -> int | None:
    """The id before the first audit entry since a moment; None when there is none since."""
    # + 0 forces the small index on times; the index on ids would be read from its start
    found: int | None = await store.connection.fetchval("SELECT min(audit_id + 0) - 1 FROM audit WHERE created_at >= $1", moment)
    return found


async def request_replay(store: Store, webhook_id: UUID, after: int) -> None:
    """Request a replay to an endpoint of all entries after this one up to the cursor; extends a pending replay."""
    await store.connection.execute(
        """UPDATE webhooks SET replay_after = least(replay_after, $2), replay_until = cursor.audit_id
           FROM webhook_cursor AS cursor WHERE webhook_id = $1 AND $2 < cursor.audit_id""",
        webhook_id,
        after,
    )


async def lock_replay(store: Store, most_waiting: int) -> PendingReplay | None:
    """Lock an endpoint with a pending replay and fewer than `most_waiting` pending deliveries."""
    row = await store.connection.fetchrow(
        """SELECT webhook_id, event_types, replay_after, replay_until FROM webhooks
           WHERE enabled AND replay_after IS NOT NULL AND $1 > (
               SELECT count(*) FROM (
                   SELECT 1 FROM webhook_deliveries AS delivery
                   WHERE delivery.webhook_id = webhooks.webhook_id AND status = 'pending' LIMIT $1) AS a_few)
           LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED""",
        most_waiting,
    )
    return as_struct(row, PendingReplay)


async def note_replayed(store: Store, webhook_id: UUID, up_to: int | None) -> None:
    """Record the replay's progress up to an audit id; None: it is complete."""
    await store.connection.execute(
        "UPDATE webhooks SET replay_after = $2, replay_until = CASE WHEN $2::bigint IS NULL THEN NULL ELSE replay_until END "
        "WHERE webhook_id = $1",
        webhook_id,
        up_to,
    )
