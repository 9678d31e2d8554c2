"""Webhooks: endpoints, their events and deliveries."""

from datetime import datetime
from typing import Final
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery
from tapwire_admin.requests.parameters import require_found, require_sane_year
from tapwire_admin.routes.webhooks import NewWebhook
from tapwire_contracts.reasons import WebhookEventType
from tapwire_core.db.engine import Database
from tapwire_core.db.views.webhooks import WebhookView, get_delivery, get_webhook, list_deliveries, list_webhooks
from tapwire_core.domain.shown import Noun
from tapwire_core.domain.webhooks import DeliveryStatus
from tapwire_core.errors import Invalid
from tapwire_core.services import webhooks
from tapwire_core.services.shown import read_shown

CHOICES: Final = tuple(kind for kind in WebhookEventType if kind in webhooks.SUBSCRIBABLE)


@get("/webhooks", access=ENGINEER, about=INSTALLATION)
async def show_webhooks(db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery) -> Response[str]:
    """Endpoints with the state of their deliveries."""
    return viewer.show("webhooks.html", shell=shell, page=await list_webhooks(db, page))


@get("/webhooks/new", access=ENGINEER, about=INSTALLATION)
async def ask_for_webhook(viewer: CurrentViewer) -> Response[str]:
    """The form of a new endpoint."""
    return viewer.show("dialogs/webhook.html", webhook=None, choices=CHOICES)


@post("/webhooks/new", access=ENGINEER, about=INSTALLATION, returns_secret=True)
async def add_webhook(viewer: CurrentViewer, actor: CurrentActor, form: Form) -> Response[str]:
    """Add an endpoint; its secret is shown this once."""
    given = form.read(NewWebhook, event_types=_wanted(form))
    made = await form.once(
        webhooks.create_webhook, actor, url=given.url, event_types=given.event_types, description=given.description
    )
    return viewer.show("dialogs/webhook_secret.html", made=made)


@get("/webhooks/{webhook_id:uuid}", access=ENGINEER)
async def show_webhook(db: Db, viewer: CurrentViewer, webhook_id: FromPath[UUID]) -> Response[str]:
    """An endpoint and its actions."""
    shown = await read_shown(db, Noun.WEBHOOK, webhook_id)
    return viewer.show("dialogs/webhook.html", shown=shown, webhook=await _webhook(db, webhook_id), choices=CHOICES)


@post("/webhooks/{webhook_id:uuid}", access=ENGINEER, shows=Noun.WEBHOOK)
async def change_webhook(actor: CurrentActor, form: Form, webhook_id: FromPath[UUID]) -> Response[str]:
    """Change an endpoint: address, events, on or off."""
    given = form.read(NewWebhook, event_types=_wanted(form))
    changes = form.changed(
        url=given.url, event_types=given.event_types, description=given.description, enabled=form.flag("enabled")
    )
    if changes:
        await form.only(changes).once(webhooks.change_webhook, actor, webhook_id, **changes)
    return go_to("/webhooks")


@post("/webhooks/{webhook_id:uuid}/rotate", access=ENGINEER, returns_secret=True, shows=Noun.WEBHOOK)
async def rotate_secret(viewer: CurrentViewer, actor: CurrentActor, form: Form, webhook_id: FromPath[UUID]) -> Response[str]:
    """Replace an endpoint's secret; the new one is shown this once."""
    return viewer.show("dialogs/webhook_secret.html", made=await form.once(webhooks.rotate_secret, actor, webhook_id))


@post("/webhooks/{webhook_id:uuid}/delete", access=ENGINEER, shows=Noun.WEBHOOK)
async def delete_webhook(actor: CurrentActor, form: Form, webhook_id: FromPath[UUID]) -> Response[str]:
    """Delete an endpoint."""
    await form.once(webhooks.delete_webhook, actor, webhook_id)
    return go_to("/webhooks")


@get("/webhooks/{webhook_id:uuid}/deliveries", access=ENGINEER)
async def show_deliveries(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    page: PageQuery,
    webhook_id: FromPath[UUID],
    status: FromQuery[DeliveryStatus | None] = None,
) -> Response[str]:
    """Deliveries to an endpoint, the latest first."""
    webhook, shown = await _webhook(db, webhook_id), await list_deliveries(db, webhook_id, status=status, page=page)
    return viewer.show("deliveries.html", shell=shell, webhook=webhook, page=shown, status=status, statuses=list(DeliveryStatus))


@get("/webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}", access=ENGINEER)
async def show_delivery(db: Db, viewer: CurrentViewer, webhook_id: FromPath[UUID], delivery_id: FromPath[UUID]) -> Response[str]:
    """One delivery with its body and answer."""
    delivery = require_found(await get_delivery(db, webhook_id, delivery_id), "delivery", delivery_id)
    return viewer.show("dialogs/delivery.html", delivery=delivery)


@post("/webhooks/{webhook_id:uuid}/test", access=ENGINEER, shows=Noun.WEBHOOK)
async def send_test(actor: CurrentActor, form: Form, webhook_id: FromPath[UUID]) -> Response[str]:
    """Send a `ping`, and show its delivery."""
    await form.once(webhooks.send_test, actor, webhook_id)
    return go_to(f"/webhooks/{webhook_id}/deliveries")


@post("/webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/replay", access=ENGINEER)
async def replay_delivery(
    actor: CurrentActor, form: Form, webhook_id: FromPath[UUID], delivery_id: FromPath[UUID]
) -> Response[str]:
    """Send an event again."""
    await form.once(webhooks.replay_delivery, actor, webhook_id, delivery_id)
    return go_to(f"/webhooks/{webhook_id}/deliveries")


@post("/webhooks/{webhook_id:uuid}/replay", access=ENGINEER, shows=Noun.WEBHOOK)
async def replay_since(viewer: CurrentViewer, actor: CurrentActor, form: Form, webhook_id: FromPath[UUID]) -> Response[str]:
    """Resend events since a time of the venue."""
    since = _moment(viewer, form.values.get("since", ""))
    await form.once(webhooks.replay_since, actor, webhook_id, since=since)
    return done(viewer.translate(N_("Resending events, the oldest first.")))


def _wanted(form: SubmittedForm) -> list[str]:
    return [kind.value for kind in CHOICES if form.flag(f"wants {kind}")]


def _moment(viewer: Viewer, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=viewer.formats.zone)
    except ValueError as error:
        raise Invalid("Enter the time to start from.", field="since") from error
    require_sane_year("since", moment)
    return moment


async def _webhook(db: Database, webhook_id: UUID) -> WebhookView:
    return require_found(await get_webhook(db, webhook_id), "webhook", webhook_id)


HANDLERS = (
    show_webhooks,
    ask_for_webhook,
    add_webhook,
    show_webhook,
    change_webhook,
    rotate_secret,
    delete_webhook,
    show_deliveries,
    show_delivery,
    send_test,
    replay_delivery,
    replay_since,
)
