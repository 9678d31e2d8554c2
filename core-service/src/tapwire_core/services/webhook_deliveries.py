"""Delivery of webhooks by core workers: events are made from the audit log, and each delivery is a row.

Any number of workers runs side by side. The cursor's lock lets one at a time make events, in the audit log's order. A worker leases
a delivery; when the lease expires without a result, another worker takes it. So each event arrives at least once, and seldom twice.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import AuditAction, IncidentKind
from tapwire_core.db.decisions import raise_incident
from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.views.event_stream import BATCH, AuditReader, read_audit
from tapwire_core.db.views.webhooks import make_events
from tapwire_core.db.writes import webhook_deliveries, webhook_events
from tapwire_core.db.writes import webhooks as endpoints
from tapwire_core.db.writes.webhook_deliveries import AttemptResult, LeasedDelivery, PendingDelivery
from tapwire_core.db.writes.webhooks import LockedWebhook
from tapwire_core.domain.actor import CORE
from tapwire_core.domain.webhooks import (
    DeliveryCause,
    OffReason,
    backoff_ms,
    is_given_up,
    is_switched_off,
    pause_ms,
)

LEASE_BEYOND_TIMEOUT_MS: Final = 30_000
"""Lease of a delivery beyond its timeout."""
MAX_BACKLOG_AT_REPLAY: Final = 1_000
"""A replay pauses while this many deliveries wait for its endpoint."""
GONE: Final = 410
"""The answer by which a receiver unsubscribes."""


class EventWriter:
    """Makes events from the audit log, one worker at a time; its state is only a cache of the database's."""

    def __init__(self, db: Database) -> None:
        self._db: Final = db
        self._reader = AuditReader(db, 0)

    async def write_events(self) -> bool:
        """Make events from the next audit entries; return True if there may be more."""
        async with self._db.transaction() as store:
            after = await webhook_events.lock_cursor(store)
            if after is None:
                return False
            subscriptions = await webhook_events.list_subscriptions(store)
            if not subscriptions:
                await webhook_events.move_cursor_to_newest(store)
                return False
            await store.may_pause()  # the audit log is read by another connection
            if self._reader.after != after:
                self._reader = AuditReader(self._db, after)
            facts = await self._reader.read_next()
            if not facts:
                return False
            events = await make_events(
                self._db, facts, {kind for subscription in subscriptions for kind in subscription.event_types}
            )
            to_send = [
                (subscription.webhook_id, event.event_id)
                for event in events
                for subscription in subscriptions
                if event.event_type in subscription.event_types and event.occurred_at >= subscription.active_since
            ]
            sent = {event_id for _, event_id in to_send}
            await webhook_events.store_events(store, [event for event in events if event.event_id in sent])
            await webhook_deliveries.send_events(store, to_send, DeliveryCause.EVENT)
            await webhook_events.move_cursor(store, self._reader.after)
        return len(facts) == BATCH


async def replay_some(db: Database) -> bool:
    """Make some events of one endpoint's replay; return False if no replay is due."""
    async with db.transaction() as store:
        due = await webhook_events.lock_replay(store, MAX_BACKLOG_AT_REPLAY)
        if due is None:
            return False
        await store.may_pause()
        facts = await read_audit(db, due.replay_after, due.replay_until)
        events = await make_events(db, facts, due.event_types)
        await webhook_events.store_events(store, events)
        await webhook_deliveries.send_events(store, [(due.webhook_id, event.event_id) for event in events], DeliveryCause.REPLAY)
        await webhook_events.note_replayed(store, due.webhook_id, facts[-1].audit_id if len(facts) == BATCH else None)
    return True


@use_case
async def lease_due_deliveries(store: Store, busy: Mapping[UUID, int]) -> list[LeasedDelivery]:
    """Lease deliveries for this worker to send now; `busy`: its running deliveries by endpoint."""
    return await webhook_deliveries.lease_deliveries(store, busy, store.policy.webhooks.timeout_ms + LEASE_BEYOND_TIMEOUT_MS)


@use_case
async def note_delivered(store: Store, taken: LeasedDelivery, attempted: AttemptResult) -> None:
    """Mark a delivery as delivered, and reset its endpoint's failures."""
    if await endpoints.lock_webhook(store, taken.webhook_id) is None:
        return
    if await webhook_deliveries.lock_delivery(store, taken.delivery_id) is not None:
        await webhook_deliveries.note_delivered(store, taken.delivery_id, attempted)
    if taken.cause is not DeliveryCause.TEST:
        await endpoints.reset_failures(store, taken.webhook_id)


@use_case
async def note_failed(store: Store, taken: LeasedDelivery, attempted: AttemptResult, jitter: float) -> None:
    """Schedule a retry of a failed delivery, and switch its endpoint off after days of failures. `jitter`: 0 to 1."""
    webhook = await endpoints.lock_webhook(store, taken.webhook_id)
    delivery = await webhook_deliveries.lock_delivery(store, taken.delivery_id)
    if webhook is None or delivery is None or delivery.attempts != taken.attempts:
        return  # deleted, or leased by another worker since
    await webhook_deliveries.note_failed(store, taken.delivery_id, attempted, _retry_after_ms(store, delivery, jitter))
    if delivery.cause is DeliveryCause.TEST:
        return
    await endpoints.count_endpoint_failure(store, webhook.webhook_id, pause_ms(webhook.failures + 1, jitter, store.policy.webhooks))
    if not webhook.enabled:
        return
    if attempted.answer_status == GONE:
        await _switch_off(store, webhook, attempted, OffReason.GONE)
    elif webhook.failing_for is not None and is_switched_off(webhook.failing_for, store.policy.webhooks):
        await _switch_off(store, webhook, attempted, OffReason.FAILING)


def _retry_after_ms(store: Store, delivery: PendingDelivery, jitter: float) -> int | None:
    limits = store.policy.webhooks
    if delivery.cause is DeliveryCause.TEST or is_given_up(delivery.age, limits):
        return None
    return backoff_ms(delivery.attempts, jitter, limits)


async def _switch_off(store: Store, webhook: LockedWebhook, attempted: AttemptResult, reason: OffReason) -> None:
    details = {
        "webhook_id": str(webhook.webhook_id),
        "host": webhook.host,
        "why": reason.value,
        "answer_status": attempted.answer_status,
        "error": attempted.error,
    }
    await endpoints.switch_off(store, webhook.webhook_id, reason)
    await store.audit(AuditAction.WEBHOOK_SWITCHED_OFF, CORE, webhook.webhook_id, details=details)
    await raise_incident(store, IncidentKind.WEBHOOK_FAILING, str(webhook.webhook_id), details, tap_path=None, venue_id=None)
