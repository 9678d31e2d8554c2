"""Webhooks: who is told, what happened, and what is on its way.

Whoever needs both locks an endpoint before its deliveries. Nothing is locked while something is sent: a delivery that is taken up
becomes due again some time later, so that another worker takes it up when this one is gone by then.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.tables import Webhook
from tapwire_core.db.views.webhooks import Told
from tapwire_core.db.writes.rows import as_struct, change_row
from tapwire_core.domain.webhooks import FAILURES_BEFORE_PAUSE, DeliveryCause, OffReason


class LockedWebhook(Struct, frozen=True):
    """An endpoint, locked for a change; `failing_for`: since its first failure after the last success."""

    webhook_id: UUID
    url: str
    enabled: bool
    secret: str
    failures: int
    failing_for: timedelta | None

    @property
    def host(self) -> str | None:
        """Where it is, without what may be a secret in its address."""
        return urlsplit(self.url).hostname


class Wanting(Struct, frozen=True):
    """An endpoint that is switched on, and what it wants to be told of, from when on."""

    webhook_id: UUID
    event_types: tuple[str, ...]
    active_since: datetime


class ReplayDue(Struct, frozen=True):
    """Facts of the past that an endpoint is still to be given again."""

    webhook_id: UUID
    event_types: tuple[str, ...]
    replay_after: int
    replay_until: int


class TakenUp(Struct, frozen=True):
    """A delivery that this worker sends now. `old_secret`: the one before, while it is good. `timestamp`: now, in seconds."""

    delivery_id: UUID
    webhook_id: UUID
    event_id: UUID
    cause: DeliveryCause
    attempts: int
    url: str
    secret: str
    old_secret: str | None
    payload: str
    timestamp: int


class StillPending(Struct, frozen=True):
    """A delivery that was tried so often, and how long ago it was made."""

    cause: DeliveryCause
    attempts: int
    age: timedelta


class Attempted(Struct, frozen=True, kw_only=True):
    """What came of sending: an answer, or why there is none."""

    answer_status: int | None = None
    answer: str | None = None
    error: str | None = None
    duration_ms: int


async def begin_cursor(store: Store) -> datetime:
    """Lock the cursor, make it if there is none, and say what time it is then: from then on facts are told."""
    await store.connection.execute(
        "INSERT INTO webhook_cursor (audit_id) SELECT coalesce(max(audit_id), 0) FROM audit ON CONFLICT (one) DO NOTHING"
    )
    began: datetime = await store.connection.fetchval(
        "SELECT clock_timestamp() FROM (SELECT one FROM webhook_cursor FOR UPDATE) AS locked"
    )
    return began


async def database_time(store: Store) -> datetime:
    """When this transaction began, by the database's clock."""
    now: datetime = await store.connection.fetchval("SELECT now()")
    return now


async def count_webhooks(store: Store) -> int:
    """How many endpoints there are."""
    return int(await store.connection.fetchval("SELECT count(*) FROM webhooks"))


async def lock_webhook(store: Store, webhook_id: UUID) -> LockedWebhook | None:
    """Lock an endpoint."""
    row = await store.connection.fetchrow(
        """SELECT webhook_id, url, enabled, secret, failures, now() - failing_since AS failing_for
           FROM webhooks WHERE webhook_id = $1 FOR NO KEY UPDATE""",
        webhook_id,
    )
    return as_struct(row, LockedWebhook)


async def change_webhook(store: Store, webhook_id: UUID, changes: Mapping[str, object]) -> None:
    """Set columns of an endpoint."""
    await change_row(store, Webhook, {"webhook_id": webhook_id}, changes)


async def switch_on(store: Store, webhook_id: UUID, active_since: datetime) -> None:
    """Send to an endpoint again, as if it had never failed: what waits now, and what happens from now on."""
    await store.connection.execute(
        """UPDATE webhooks SET enabled = true, off_reason = NULL, active_since = $2,
               failures = 0, failing_since = NULL, retry_at = NULL
           WHERE webhook_id = $1""",
        webhook_id,
        active_since,
    )
    await store.connection.execute(
        "UPDATE webhook_deliveries SET due_at = now() WHERE webhook_id = $1 AND status = 'pending' AND due_at > now()", webhook_id
    )


async def switch_off(store: Store, webhook_id: UUID, reason: OffReason) -> None:
    """Send nothing to an endpoint any more."""
    await store.connection.execute("UPDATE webhooks SET enabled = false, off_reason = $2 WHERE webhook_id = $1", webhook_id, reason)


async def switch_all_off(store: Store, reason: OffReason) -> int:
    """Send nothing to any endpoint any more; says how many were switched on."""
    rows = await store.connection.fetch(
        "UPDATE webhooks SET enabled = false, off_reason = $1 WHERE enabled RETURNING webhook_id", reason
    )
    return len(rows)


async def rotate_secret(store: Store, webhook_id: UUID, secret: str, old_secret_h: int) -> datetime | None:
    """Give an endpoint a new secret; until when the old one is good."""
    until: datetime | None = await store.connection.fetchval(
        """UPDATE webhooks SET secret = $2, old_secret = secret, old_secret_until = now() + make_interval(hours => $3)
           WHERE webhook_id = $1 RETURNING old_secret_until""",
        webhook_id,
        secret,
        old_secret_h,
    )
    return until


async def delete_webhook(store: Store, webhook_id: UUID) -> None:
    """Forget an endpoint and all that was sent to it."""
    # alone, so that nobody has anything more sent to it meanwhile
    await store.connection.execute("SELECT webhook_id FROM webhooks WHERE webhook_id = $1 FOR UPDATE", webhook_id)
    await store.connection.execute("DELETE FROM webhook_deliveries WHERE webhook_id = $1", webhook_id)
    await store.connection.execute("DELETE FROM webhooks WHERE webhook_id = $1", webhook_id)


async def lock_cursor(store: Store) -> int | None:
    """Up to which fact events were made; None where there is no webhook, or another worker is at it."""
    found: int | None = await store.connection.fetchval("SELECT audit_id FROM webhook_cursor FOR UPDATE SKIP LOCKED")
    return found


async def move_cursor(store: Store, audit_id: int) -> None:
    """Note that events were made of the facts up to this one."""
    await store.connection.execute("UPDATE webhook_cursor SET audit_id = $1", audit_id)


async def move_cursor_to_newest(store: Store) -> None:
    """Pass over what nobody wants to be told of."""
    await store.connection.execute(
        """UPDATE webhook_cursor SET audit_id = newest.audit_id FROM (SELECT max(audit_id) AS audit_id FROM audit) AS newest
           WHERE webhook_cursor.audit_id < newest.audit_id"""
    )


async def who_wants_what(store: Store) -> list[Wanting]:
    """The endpoints that are switched on."""
    rows = await store.connection.fetch("SELECT webhook_id, event_types, active_since FROM webhooks WHERE enabled")
    return [Wanting(row["webhook_id"], tuple(row["event_types"]), row["active_since"]) for row in rows]


async def keep_events(store: Store, told: Sequence[Told]) -> None:
    """Keep events; one that is kept already stays as it was told first."""
    await store.connection.execute(
        """INSERT INTO webhook_events (event_id, audit_id, event_type, occurred_at, payload)
           SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[])
           ON CONFLICT (event_id) DO NOTHING""",
        [event.event_id for event in told],
        [event.audit_id for event in told],
        [event.event_type.value for event in told],
        [event.occurred_at for event in told],
        [event.payload for event in told],
    )


async def send_events(store: Store, to_send: Sequence[tuple[UUID, UUID]], cause: DeliveryCause) -> list[UUID]:
    """Have events sent: pairs of endpoint and event; the ids of the deliveries."""
    rows = await store.connection.fetch(
        """INSERT INTO webhook_deliveries (delivery_id, webhook_id, event_id, cause)
           SELECT gen_random_uuid(), webhook_id, event_id, $3 FROM unnest($1::uuid[], $2::uuid[]) AS wanted(webhook_id, event_id)
           RETURNING delivery_id""",
        [webhook_id for webhook_id, _ in to_send],
        [event_id for _, event_id in to_send],
        cause,
    )
    return [row["delivery_id"] for row in rows]


async def event_of_delivery(store: Store, webhook_id: UUID, delivery_id: UUID) -> UUID | None:
    """The event of a delivery to this endpoint."""
    found: UUID | None = await store.connection.fetchval(
        "SELECT event_id FROM webhook_deliveries WHERE delivery_id = $1 AND webhook_id = $2", delivery_id, webhook_id
    )
    return found


async def fact_of_event(store: Store, event_id: UUID) -> int | None:
    """The fact that an event was made of, while the event is kept."""
    found: int | None = await store.connection.fetchval("SELECT audit_id FROM webhook_events WHERE event_id = $1", event_id)
    return found


async def fact_before(store: Store, moment: datetime) -> int | None:
    """The id before the first fact since a moment; None when nothing happened since."""
    # + 0: by the small index on times; the one on ids would be read from its beginning
    found: int | None = await store.connection.fetchval("SELECT min(audit_id + 0) - 1 FROM audit WHERE created_at >= $1", moment)
    return found


async def want_replay(store: Store, webhook_id: UUID, after: int) -> None:
    """Have the facts after this one, up to where events were made, given to an endpoint again, beside what already is to be."""
    await store.connection.execute(
        """UPDATE webhooks SET replay_after = least(replay_after, $2), replay_until = cursor.audit_id
           FROM webhook_cursor AS cursor WHERE webhook_id = $1 AND $2 < cursor.audit_id""",
        webhook_id,
        after,
    )


async def lock_replay(store: Store, most_waiting: int) -> ReplayDue | None:
    """An endpoint that is to be given facts again, and has not too much waiting."""
    row = await store.connection.fetchrow(
        """SELECT webhook_id, event_types, replay_after, replay_until FROM webhooks
           WHERE enabled AND replay_after IS NOT NULL AND $1 > (
               SELECT count(*) FROM (
                   SELECT 1 FROM webhook_deliveries AS delivery
                   WHERE delivery.webhook_id = webhooks.webhook_id AND status = 'pending' LIMIT $1) AS a_few)
           LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED""",
        most_waiting,
    )
    return as_struct(row, ReplayDue)


async def note_replayed(store: Store, webhook_id: UUID, up_to: int | None) -> None:
    """Note up to which fact an endpoint was given them again; None: all."""
    await store.connection.execute(
        "UPDATE webhooks SET replay_after = $2, replay_until = CASE WHEN $2::bigint IS NULL THEN NULL ELSE replay_until END "
        "WHERE webhook_id = $1",
        webhook_id,
        up_to,
    )


async def take_up(store: Store, busy: Mapping[UUID, int], lease_ms: int) -> list[TakenUp]:
    """Take up deliveries that are due, as many as there is room for at each endpoint beside those that this worker is `busy` with.

    They are due again after the lease. An endpoint that fails gets one at a time, and none before it is to be tried again; tests
    go at once, wherever.
    """
    rows = await store.connection.fetch(
        """WITH busy AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS busy(webhook_id, count)),
           room AS (
               SELECT webhook_id, CASE WHEN failures >= $4 THEN 1 ELSE $3 END - coalesce(busy.count, 0) AS most
               FROM webhooks LEFT JOIN busy USING (webhook_id) WHERE enabled AND (retry_at IS NULL OR retry_at <= now())),
           due AS (
               SELECT found.delivery_id FROM room CROSS JOIN LATERAL (
                   SELECT delivery_id FROM webhook_deliveries
                   WHERE webhook_id = room.webhook_id AND status = 'pending' AND due_at <= now()
                   ORDER BY due_at LIMIT greatest(room.most, 0) FOR UPDATE SKIP LOCKED) AS found),
           tests AS (
               SELECT delivery_id FROM webhook_deliveries
               WHERE status = 'pending' AND cause = 'test' AND due_at <= now() ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
           UPDATE webhook_deliveries AS delivery
           SET attempts = attempts + 1, attempted_at = now(), due_at = now() + $5 * interval '1 millisecond'
           FROM webhook_events AS event, webhooks AS webhook
           WHERE delivery.delivery_id IN (SELECT delivery_id FROM due UNION SELECT delivery_id FROM tests)
             AND event.event_id = delivery.event_id AND webhook.webhook_id = delivery.webhook_id
           RETURNING delivery.delivery_id, webhook.webhook_id, event.event_id, cause, attempts, url, secret,
               CASE WHEN old_secret_until > now() THEN old_secret END AS old_secret, payload,
               extract(epoch FROM now())::bigint AS timestamp""",
        list(busy),
        list(busy.values()),
        store.house.webhooks.concurrency,
        FAILURES_BEFORE_PAUSE,
        lease_ms,
    )
    return [found for row in rows if (found := as_struct(row, TakenUp))]


async def lock_delivery(store: Store, delivery_id: UUID) -> StillPending | None:
    """Lock a delivery that is pending."""
    row = await store.connection.fetchrow(
        """SELECT cause, attempts, now() - created_at AS age FROM webhook_deliveries
           WHERE delivery_id = $1 AND status = 'pending' FOR UPDATE""",
        delivery_id,
    )
    return as_struct(row, StillPending)


async def note_delivered(store: Store, delivery_id: UUID, attempted: Attempted) -> None:
    """Note that the receiver has it."""
    await _note_attempt(store, delivery_id, attempted, "status = 'delivered', delivered_at = now()")


async def note_failed(store: Store, delivery_id: UUID, attempted: Attempted, wait_ms: int | None) -> None:
    """Note that the receiver has it not, and when it is tried again; None: never."""
    ending = "status = 'failed'" if wait_ms is None else f"due_at = now() + {int(wait_ms)} * interval '1 millisecond'"
    await _note_attempt(store, delivery_id, attempted, ending)


async def forget_failures(store: Store, webhook_id: UUID) -> None:
    """Note that an endpoint takes what is sent."""
    await store.connection.execute(
        "UPDATE webhooks SET failures = 0, failing_since = NULL, retry_at = NULL WHERE webhook_id = $1 AND failures > 0", webhook_id
    )


async def note_failure(store: Store, webhook_id: UUID, pause_ms: int) -> None:
    """Count a failure of an endpoint, and leave the endpoint alone for a while."""
    await store.connection.execute(
        """UPDATE webhooks SET failures = failures + 1, failing_since = coalesce(failing_since, now()),
               retry_at = now() + $2 * interval '1 millisecond'
           WHERE webhook_id = $1""",
        webhook_id,
        pause_ms,
    )


async def _note_attempt(store: Store, delivery_id: UUID, attempted: Attempted, ending: str) -> None:
    # the ending is our own
    columns: dict[str, Any] = {
        "answer_status": attempted.answer_status,
        "answer": attempted.answer,
        "error": attempted.error,
        "duration_ms": attempted.duration_ms,
    }
    sets = ", ".join(f"{name} = ${position}" for position, name in enumerate(columns, start=2))
    statement = f"UPDATE webhook_deliveries SET {sets}, {ending} WHERE delivery_id = $1"  # noqa: S608
    await store.connection.execute(statement, delivery_id, *columns.values())
