"""Top-ups, refunds and adjustments."""

from typing import Final
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.console.forms import Form
from tapwire_admin.console.pages.visits import require_visit
from tapwire_admin.console.render import done
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor, Db
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.routes.money import Adjustment, Refund, TopUp
from tapwire_core.db.views import guests as guest_views
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.shown import Noun
from tapwire_core.services import money
from tapwire_core.services.shown import read_shown

REFUND_REASONS: Final = (N_("guest is leaving"), N_("problem with the beer"))
MONEY: Final = ("amount_minor",)


@get("/visits/{visit_id:uuid}/top-up", access=OPERATOR)
async def ask_for_top_up(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """The form of a top-up."""
    formats = viewer.formats
    presets = [(formats.plain_money(minor), formats.money(minor)) for minor in formats.presets_minor]
    return viewer.show("dialogs/top_up.html", visit=await require_visit(db, visit_id), presets=presets, methods=list(PaymentMethod))


@post("/visits/{visit_id:uuid}/top-up", access=OPERATOR)
async def top_up(db: Db, viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Take a guest's money."""
    visit, given = await require_visit(db, visit_id), form.read(TopUp, money=MONEY)
    form.require_usual(given.amount_minor)
    booked = await form.once(money.top_up, actor, visit.guest_id, given.amount_minor, given.method, visit.venue_id)
    message = viewer.translate(N_("Done. Available now: %s"))
    return done(message % viewer.formats.money(booked.available_minor), changed=[str(visit_id), str(visit.guest_id), "visit"])


@get("/visits/{visit_id:uuid}/refund", access=SHIFT_LEAD)
async def ask_for_refund(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """The form of a refund."""
    visit = await require_visit(db, visit_id)
    reasons = viewer.translate_all(REFUND_REASONS)
    presets = [(viewer.formats.plain_money(visit.available_minor), viewer.formats.money(visit.available_minor))]
    return viewer.show("dialogs/refund.html", visit=visit, presets=presets, methods=list(PaymentMethod), reasons=reasons)


@post("/visits/{visit_id:uuid}/refund", access=SHIFT_LEAD)
async def refund(db: Db, viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Give a guest money back."""
    visit, given = await require_visit(db, visit_id), form.read(Refund, money=MONEY)
    form.require_usual(given.amount_minor)
    booked = await form.once(money.refund, actor, visit.guest_id, given.amount_minor, given.method, given.reason, visit.venue_id)
    message = viewer.translate(N_("Done. Available now: %s"))
    return done(message % viewer.formats.money(booked.available_minor), changed=[str(visit_id), str(visit.guest_id), "visit"])


@get("/guests/{guest_id:uuid}/adjust", access=SHIFT_LEAD)
async def ask_to_adjust(db: Db, viewer: CurrentViewer, guest_id: FromPath[UUID]) -> Response[str]:
    """The form of an adjustment."""
    shown = await read_shown(db, Noun.BALANCE, guest_id)
    guest = require_found(await guest_views.get_guest(db, guest_id), "guest", guest_id)
    return viewer.show("dialogs/adjust.html", guest=guest, shown=shown)


@post("/guests/{guest_id:uuid}/adjust", access=SHIFT_LEAD, shows=Noun.BALANCE)
async def adjust(viewer: CurrentViewer, actor: CurrentActor, form: Form, guest_id: FromPath[UUID]) -> Response[str]:
    """Correct a balance up or down."""
    given = form.read(Adjustment, money=MONEY)
    form.require_usual(given.amount_minor)
    booked = await form.once(money.adjust, actor, guest_id, given.amount_minor, given.reason, None, form.db.scope)
    message = viewer.translate(N_("Done. Available now: %s"))
    return done(message % viewer.formats.money(booked.available_minor), changed=[str(guest_id)])


HANDLERS = (
    ask_for_top_up,
    top_up,
    ask_for_refund,
    refund,
    ask_to_adjust,
    adjust,
)
