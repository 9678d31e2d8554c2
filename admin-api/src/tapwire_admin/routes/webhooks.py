"""Webhooks: endpoints, their deliveries, and resending."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import delete, get, patch, post
from litestar.params import FromPath, FromQuery
from msgspec import UNSET, Meta, Struct, UnsetType

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, PageQuery, RunOnce
from tapwire_admin.requests.field_types import Text, Url
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_contracts.reasons import WebhookEventType
from tapwire_core.db.views import webhooks as views
from tapwire_core.db.views.queries import Page
from tapwire_core.db.views.webhooks import DeliveryDetail, DeliveryView, WebhookView
from tapwire_core.domain.webhooks import DeliveryStatus
from tapwire_core.services import webhooks
from tapwire_core.services.webhooks import WebhookSecret

EventTypes = Annotated[list[WebhookEventType], Meta(min_length=1, max_length=len(WebhookEventType))]
Since = Annotated[datetime, Meta(tz=True)]


class NewWebhook(Struct, kw_only=True, forbid_unknown_fields=True):
    """An endpoint that receives events."""

    url: Url
    event_types: EventTypes
    description: Text | None = None


class WebhookChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of an endpoint; `enabled` switches it off and on."""

    url: Url | UnsetType = UNSET
    event_types: EventTypes | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class Replay(Struct, kw_only=True, forbid_unknown_fields=True):
    """Start of a resend: since a time, or after an event. Exactly one of the two."""

    since: Since | None = None
    after_event: UUID | None = None


@get("/webhooks", access=ENGINEER, about=INSTALLATION)
async def list_webhooks(db: Db, page: PageQuery) -> Page[WebhookView]:
    """Endpoints, the oldest first, with the state of their deliveries."""
    return await views.list_webhooks(db, page)


@post(
    "/webhooks",
    access=ENGINEER,
    about=INSTALLATION,
    returns_secret=True,
    refuses=(webhooks.WebhookUrlRefused, webhooks.TooManyWebhooks),
)
async def create_webhook(actor: CurrentActor, once: RunOnce, data: JSONBody[NewWebhook]) -> WebhookSecret:
    """Add an endpoint for new events; its secret is shown once, as a new device's is."""
    return await once(webhooks.create_webhook, actor, url=data.url, event_types=data.event_types, description=data.description)


@get("/webhooks/{webhook_id:uuid}", access=ENGINEER)
async def show_webhook(db: Db, webhook_id: FromPath[UUID]) -> WebhookView:
    """One endpoint."""
    return require_found(await views.get_webhook(db, webhook_id), "webhook", webhook_id)


@patch("/webhooks/{webhook_id:uuid}", access=ENGINEER, refuses=(webhooks.WebhookUrlRefused,))
async def change_webhook(db: Db, actor: CurrentActor, webhook_id: FromPath[UUID], data: JSONBody[WebhookChange]) -> WebhookView:
    """Change an endpoint, or switch it off or on; waiting deliveries go out when it is on again."""
    await webhooks.change_webhook(db, actor, webhook_id, **changes_of(data))
    return require_found(await views.get_webhook(db, webhook_id), "webhook", webhook_id)


@delete("/webhooks/{webhook_id:uuid}", access=ENGINEER)
async def delete_webhook(db: Db, actor: CurrentActor, webhook_id: FromPath[UUID]) -> None:
    """Delete an endpoint and its deliveries."""
    await webhooks.delete_webhook(db, actor, webhook_id)


@post("/webhooks/{webhook_id:uuid}/rotate", access=ENGINEER, returns_secret=True, status_code=200)
async def rotate_secret(actor: CurrentActor, once: RunOnce, webhook_id: FromPath[UUID]) -> WebhookSecret:
    """Give an endpoint a new secret, shown once; until `old_secret_until` deliveries are signed with the old one too."""
    return await once(webhooks.rotate_secret, actor, webhook_id)


@post("/webhooks/{webhook_id:uuid}/test", access=ENGINEER)
async def send_test(db: Db, actor: CurrentActor, once: RunOnce, webhook_id: FromPath[UUID]) -> DeliveryView:
    """Send an endpoint one `ping`, also while it is switched off; answers the delivery."""
    delivery_id = await once(webhooks.send_test, actor, webhook_id)
    return require_found(await views.get_delivery(db, webhook_id, delivery_id), "delivery", delivery_id)


@get("/webhooks/{webhook_id:uuid}/deliveries", access=ENGINEER)
async def list_deliveries(
    db: Db, page: PageQuery, webhook_id: FromPath[UUID], status: FromQuery[DeliveryStatus | None] = None
) -> Page[DeliveryView]:
    """Deliveries to an endpoint, the latest first."""
    require_found(await views.get_webhook(db, webhook_id), "webhook", webhook_id)
    return await views.list_deliveries(db, webhook_id, status=status, page=page)


@get("/webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}", access=ENGINEER)
async def show_delivery(db: Db, webhook_id: FromPath[UUID], delivery_id: FromPath[UUID]) -> DeliveryDetail:
    """One delivery, with its body."""
    return require_found(await views.get_delivery(db, webhook_id, delivery_id), "delivery", delivery_id)


@post("/webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/replay", access=ENGINEER)
async def replay_delivery(
    db: Db, actor: CurrentActor, once: RunOnce, webhook_id: FromPath[UUID], delivery_id: FromPath[UUID]
) -> DeliveryView:
    """Send an event again, with its id, whether or not it was delivered."""
    again = await once(webhooks.replay_delivery, actor, webhook_id, delivery_id)
    return require_found(await views.get_delivery(db, webhook_id, again), "delivery", again)


@post("/webhooks/{webhook_id:uuid}/replay", access=ENGINEER, status_code=202)
async def replay_since(
    db: Db, actor: CurrentActor, once: RunOnce, webhook_id: FromPath[UUID], data: JSONBody[Replay]
) -> WebhookView:
    """Resend all events of an endpoint's types since a time, or after an event, also those never sent."""
    await once(webhooks.replay_since, actor, webhook_id, since=data.since, after_event=data.after_event)
    return require_found(await views.get_webhook(db, webhook_id), "webhook", webhook_id)


HANDLERS = (
    list_webhooks,
    create_webhook,
    show_webhook,
    change_webhook,
    delete_webhook,
    rotate_secret,
    send_test,
    list_deliveries,
    show_delivery,
    replay_delivery,
    replay_since,
)
