"""Webhooks, as engineers manage them: who is told of what, with which secret, and what is sent again.

An endpoint gets events while it is switched on. Deliveries that wait when it is switched off are sent when it is switched on again;
a replay sends the events in between, made anew from the audit log.
"""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict, Unpack
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from msgspec import Struct

from tapwire_contracts.reasons import AuditAction, WebhookEventType
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Webhook
from tapwire_core.db.views.webhooks import OutgoingEvent, payload_of
from tapwire_core.db.writes import webhook_deliveries, webhook_events
from tapwire_core.db.writes import webhooks as endpoints
from tapwire_core.db.writes.webhooks import LockedWebhook
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.webhooks import SECRET_BYTES, SECRET_PREFIX, AddressRefused, DeliveryCause, OffReason, check_url
from tapwire_core.errors import Invalid, NotFound, Refused

MAX_WEBHOOKS: Final = 50
"""Each has room of its own in every worker, so that none waits for another."""
SUBSCRIBABLE: Final = frozenset(WebhookEventType) - {WebhookEventType.PING}


class WebhookUrlRefused(Invalid):
    """The URL is not permitted."""

    code = "webhook_url_refused"


class TooManyWebhooks(Refused):
    """The limit of endpoints is reached."""

    code = "too_many_webhooks"


class WebhookChanges(TypedDict, total=False):
    """Changes of an endpoint."""

    url: str
    event_types: Sequence[WebhookEventType]
    description: str | None
    enabled: bool


class WebhookSecret(Struct, frozen=True):
    """An endpoint's secret, shown once. After a rotation the old one is valid until `old_secret_until`: both sign until then."""

    webhook_id: UUID
    secret: str
    old_secret_until: datetime | None


@use_case
async def create_webhook(
    store: Store, actor: Actor, *, url: str, event_types: Sequence[WebhookEventType], description: str | None = None
) -> WebhookSecret:
    """Send events from now on to an endpoint; raises `WebhookUrlRefused` and `TooManyWebhooks`."""
    _require_url(store, url)
    wanted = _require_types(event_types)
    active_since = await webhook_events.begin_cursor(store)
    if await endpoints.count_webhooks(store) >= MAX_WEBHOOKS:
        raise TooManyWebhooks(f"There are already {MAX_WEBHOOKS} webhooks: delete one first.", most=MAX_WEBHOOKS)
    made = WebhookSecret(uuid4(), _new_secret(), None)
    await store.insert(
        Webhook,
        webhook_id=made.webhook_id,
        url=url,
        description=description,
        event_types=wanted,
        enabled=True,
        active_since=active_since,
        secret=made.secret,
        created_by=actor.name,
    )
    await store.audit(AuditAction.WEBHOOK_CREATED, actor, made.webhook_id, details={**_where(url), "event_types": wanted})
    return made


@use_case
async def change_webhook(store: Store, actor: Actor, webhook_id: UUID, **changes: Unpack[WebhookChanges]) -> None:
    """Change an endpoint's URL, description and event types, or switch it off or on."""
    columns: dict[str, object] = {name: value for name, value in changes.items() if name in ("url", "description")}
    if "url" in changes:
        _require_url(store, changes["url"])
    if "event_types" in changes:
        columns["event_types"] = _require_types(changes["event_types"])
    now = await webhook_events.begin_cursor(store)
    webhook = await _require_webhook(store, webhook_id)
    await endpoints.change_webhook(store, webhook_id, columns)
    if changes.get("enabled") is True and not webhook.enabled:
        await endpoints.switch_on(store, webhook_id, now)
    if changes.get("enabled") is False and webhook.enabled:
        await endpoints.switch_off(store, webhook_id, OffReason.BY_HAND)
    # a URL may hold a secret of the receiver: the audit log, which operators read, gets only its host
    audited = {**changes, **_where(changes["url"])} if "url" in changes else changes
    await store.audit(
        AuditAction.WEBHOOK_CHANGED, actor, webhook_id, details={name: value for name, value in audited.items() if name != "url"}
    )


@use_case
async def delete_webhook(store: Store, actor: Actor, webhook_id: UUID) -> None:
    """Delete an endpoint and its deliveries."""
    await webhook_events.begin_cursor(store)
    webhook = await _require_webhook(store, webhook_id)
    await endpoints.delete_webhook(store, webhook_id)
    await store.audit(AuditAction.WEBHOOK_DELETED, actor, webhook_id, details=_where(webhook.url))


@use_case
async def rotate_secret(store: Store, actor: Actor, webhook_id: UUID) -> WebhookSecret:
    """Give an endpoint a new secret; deliveries are signed with the old one too for `webhook_old_secret_h`."""
    await _require_webhook(store, webhook_id)
    secret = _new_secret()
    until = await endpoints.rotate_secret(store, webhook_id, secret, store.policy.webhooks.old_secret_h)
    await store.audit(AuditAction.WEBHOOK_ROTATED, actor, webhook_id)
    return WebhookSecret(webhook_id, secret, until)


@use_case
async def send_test(store: Store, actor: Actor, webhook_id: UUID) -> UUID:
    """Send an endpoint a `ping`, once, also while it is switched off; return the delivery's id."""
    await _require_webhook(store, webhook_id)
    event_id, now = uuid4(), await webhook_events.database_time(store)
    payload = payload_of(event_id, WebhookEventType.PING, now, {"webhook_id": webhook_id})
    await webhook_events.store_events(store, [OutgoingEvent(event_id, None, WebhookEventType.PING, now, payload)])
    (delivery_id,) = await webhook_deliveries.send_events(store, [(webhook_id, event_id)], DeliveryCause.TEST)
    await store.audit(AuditAction.WEBHOOK_TESTED, actor, webhook_id)
    return delivery_id


@use_case
async def replay_delivery(store: Store, actor: Actor, webhook_id: UUID, delivery_id: UUID) -> UUID:
    """Send an event again under its id; returns the new delivery's id."""
    await _require_webhook(store, webhook_id)
    event_id = await webhook_deliveries.event_of_delivery(store, webhook_id, delivery_id)
    if event_id is None:
        raise NotFound("delivery", delivery_id)
    (again,) = await webhook_deliveries.send_events(store, [(webhook_id, event_id)], DeliveryCause.REPLAY)
    await store.audit(AuditAction.WEBHOOK_REPLAYED, actor, webhook_id, details={"event_id": event_id})
    return again


@use_case
async def replay_since(
    store: Store, actor: Actor, webhook_id: UUID, *, since: datetime | None = None, after_event: UUID | None = None
) -> None:
    """Replay an endpoint's events since a time, or after an event; workers make the events, some at a time."""
    if (since is None) == (after_event is None):
        raise Invalid("Set either since or after_event, not both.", field="since")
    await _require_webhook(store, webhook_id)
    if after_event is not None:
        after = await webhook_events.audit_id_of_event(store, after_event)
        if after is None:
            raise NotFound("event", after_event)
    else:
        assert since is not None
        after = await webhook_events.audit_id_before(store, since)
    if after is not None:
        await webhook_events.request_replay(store, webhook_id, after)
    await store.audit(AuditAction.WEBHOOK_REPLAYED, actor, webhook_id, details={"since": since, "after_event": after_event})


def _require_url(store: Store, url: str) -> None:
    try:
        check_url(url, store.policy.webhooks)
    except AddressRefused as error:
        raise WebhookUrlRefused(str(error), field="url") from error


def _require_types(event_types: Sequence[WebhookEventType]) -> list[str]:
    if not event_types or not set(event_types) <= SUBSCRIBABLE:
        raise Invalid("Name at least one event type; `ping` can't be subscribed to.", field="event_types")
    return [kind.value for kind in WebhookEventType if kind in event_types]


async def _require_webhook(store: Store, webhook_id: UUID) -> LockedWebhook:
    webhook = await endpoints.lock_webhook(store, webhook_id)
    if webhook is None:
        raise NotFound("webhook", webhook_id)
    return webhook


def _where(url: str) -> dict[str, object]:
    return {"host": urlsplit(url).hostname}


def _new_secret() -> str:
    return f"{SECRET_PREFIX}{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
