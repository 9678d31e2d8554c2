"""Webhook deliveries.

A worker leases a delivery and holds no lock during the request: after the lease the delivery is due again, so that another worker
retries it if this one has died.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct

from tapwire_core.db.clock import CLOCK_TOLERANCE
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.webhooks import FAILURES_BEFORE_PAUSE, DeliveryCause


class LeasedDelivery(Struct, frozen=True):
    """A delivery leased to this worker. `old_secret`: the previous one while it is valid. `timestamp`: now, in Unix seconds."""

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


class PendingDelivery(Struct, frozen=True):
    """A pending delivery: its attempts and age."""

    cause: DeliveryCause
    attempts: int
    age: timedelta


class AttemptResult(Struct, frozen=True, kw_only=True):
    """The result of an attempt: an answer, or the error."""

    answer_status: int | None = None
    answer: str | None = None
    error: str | None = None
    duration_ms: int


async def send_events(store: Store, to_send: Sequence[tuple[UUID, UUID]], cause: DeliveryCause) -> list[UUID]:
    """Add deliveries for pairs of endpoint and event; returns their ids."""
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


async def lease_deliveries(store: Store, busy: Mapping[UUID, int], lease_ms: int) -> list[LeasedDelivery]:
    """Lease due deliveries, up to each endpoint's concurrency less this worker's `busy` ones.

    They are due again after the lease. A failing endpoint gets one at a time, none before its `retry_at`; tests are sent at once.
    A wait that is longer than any can be was made before the database's clock was set back: it is over.
    """
    rows = await store.connection.fetch(
        """WITH busy AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS busy(webhook_id, count)),
           room AS (
               SELECT webhook_id, CASE WHEN failures >= $4 THEN 1 ELSE $3 END - coalesce(busy.count, 0) AS most
               FROM webhooks LEFT JOIN busy USING (webhook_id) WHERE enabled AND (
                   retry_at IS NULL OR is_over(retry_at, $6))),
           due AS (
               SELECT found.delivery_id FROM room CROSS JOIN LATERAL (
                   SELECT delivery_id FROM webhook_deliveries
                   WHERE webhook_id = room.webhook_id AND status = 'pending'
                     AND is_over(due_at, $6)
                   ORDER BY due_at LIMIT greatest(room.most, 0) FOR UPDATE SKIP LOCKED) AS found),
           tests AS (
               SELECT delivery_id FROM webhook_deliveries
               WHERE status = 'pending' AND cause = 'test'
                 AND is_over(due_at, $6)
               ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
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
        store.policy.webhooks.concurrency,
        FAILURES_BEFORE_PAUSE,
        lease_ms,
        timedelta(milliseconds=max(lease_ms, store.policy.webhooks.retry_most_ms)) + CLOCK_TOLERANCE,
    )
    return [found for row in rows if (found := as_struct(row, LeasedDelivery))]


async def lock_delivery(store: Store, delivery_id: UUID) -> PendingDelivery | None:
    """Lock a pending delivery; None when it is not pending."""
    row = await store.connection.fetchrow(
        """SELECT cause, attempts, now() - created_at AS age FROM webhook_deliveries
           WHERE delivery_id = $1 AND status = 'pending' FOR UPDATE""",
        delivery_id,
    )
    return as_struct(row, PendingDelivery)


async def note_delivered(store: Store, delivery_id: UUID, attempted: AttemptResult) -> None:
    """Record a successful delivery."""
    await _note_attempt(store, delivery_id, attempted, "status = 'delivered', delivered_at = now()")


async def note_failed(store: Store, delivery_id: UUID, attempted: AttemptResult, wait_ms: int | None) -> None:
    """Record a failed attempt; it is retried after `wait_ms`, or never if None."""
    ending = "status = 'failed'" if wait_ms is None else f"due_at = now() + {int(wait_ms)} * interval '1 millisecond'"
    await _note_attempt(store, delivery_id, attempted, ending)


async def _note_attempt(store: Store, delivery_id: UUID, attempted: AttemptResult, ending: str) -> None:
    # the ending is our own code's, never input
    columns: dict[str, Any] = {
        "answer_status": attempted.answer_status,
        "answer": attempted.answer,
        "error": attempted.error,
        "duration_ms": attempted.duration_ms,
    }
    sets = ", ".join(f"{name} = ${position}" for position, name in enumerate(columns, start=2))
    statement = f"UPDATE webhook_deliveries SET {sets}, {ending} WHERE delivery_id = $1"  # noqa: S608
    await store.connection.execute(statement, delivery_id, *columns.values())
