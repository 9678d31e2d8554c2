"""Top-ups and their reversals, refunds, comps and adjustments."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD, operator_of
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.pages.visits import require_visit
from tapwire_admin.console.render import done
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, MovementInPath
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.routes.money import Adjustment, Comp, Refund, Reversal, TopUp
from tapwire_core.db.views import guests as guest_views
from tapwire_core.db.views import money as money_views
from tapwire_core.db.views.money import LedgerEntry, MovementKind
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.shown import Noun
from tapwire_core.services import money
from tapwire_core.services.money import Booking
from tapwire_core.services.shown import Shown, read_shown

REFUND_REASONS: Final = (N_("guest is leaving"), N_("problem with the beer"))
REVERSAL_REASONS: Final = (N_("wrong amount"), N_("wrong guest"), N_("wrong payment method"))
COMP_REASONS: Final = (N_("a beer on the house"), N_("problem with the beer"))
METHODS: Final = tuple(PaymentMethod)
MONEY: Final = ("amount_minor",)


@get("/visits/{visit_id:uuid}/top-up", access=OPERATOR)
async def ask_for_top_up(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """The form of a top-up on a visit."""
    visit = await require_visit(db, visit_id)
    return _top_up_form(viewer, f"/visits/{visit_id}/top-up", visit.guest_name, visit.available_minor, None)


@post("/visits/{visit_id:uuid}/top-up", access=OPERATOR)
async def top_up(db: Db, viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Take the money of a guest who is here."""
    visit = await require_visit(db, visit_id)
    booked = await _top_up(actor, form, visit.guest_id, visit.venue_id)
    return _topped_up(viewer, booked, str(visit_id))


@get("/guests/{guest_id:uuid}/top-up", access=OPERATOR)
async def ask_for_top_up_before(db: Db, viewer: CurrentViewer, guest_id: FromPath[UUID]) -> Response[str]:
    """The form of a top-up before a visit: a card's deposit is taken from it."""
    guest = require_found(await guest_views.get_guest(db, guest_id), "guest", guest_id)
    return _top_up_form(viewer, f"/guests/{guest_id}/top-up", guest.shown_name, guest.available_minor, viewer.shown_venue)


@post("/guests/{guest_id:uuid}/top-up", access=OPERATOR, shows=Noun.VENUE)
async def top_up_before(viewer: CurrentViewer, actor: CurrentActor, form: Form, guest_id: FromPath[UUID]) -> Response[str]:
    """Take a guest's money at the shown venue."""
    return _topped_up(viewer, await _top_up(actor, form, guest_id, form.venue_id))


def _top_up_form(viewer: Viewer, path: str, name: str, available_minor: int, shown: Shown | None) -> Response[str]:
    formats = viewer.formats
    presets = [(formats.plain_money(minor), formats.money(minor)) for minor in formats.presets_minor]
    return viewer.show(
        "dialogs/top_up.html",
        path=path,
        name=name,
        available_minor=available_minor,
        shown=shown,
        presets=presets,
        methods=METHODS,
    )


async def _top_up(actor: Actor, form: SubmittedForm, guest_id: UUID, venue_id: str) -> Booking:
    given = form.read(TopUp, money=MONEY, venue_id=venue_id)
    form.require_usual(given.amount_minor)
    return await form.once(money.top_up, actor, guest_id, given.amount_minor, given.method, venue_id)


def _topped_up(viewer: Viewer, booked: Booking, *changed: str) -> Response[str]:
    return done(
        viewer.translate(N_("Done. Available now: %s")) % viewer.formats.money(booked.available_minor),
        changed=[*changed, str(booked.guest_id), "visit"],
        undo=(viewer.translate(N_("Undo")), f"/guests/{booked.guest_id}/top-ups/{booked.movement_id}/reverse"),
    )


@get("/guests/{guest_id:uuid}/top-ups/{movement_id:int}/reverse", access=OPERATOR)
async def ask_to_reverse(db: Db, viewer: CurrentViewer, guest_id: FromPath[UUID], movement_id: MovementInPath) -> Response[str]:
    """The form that takes a top-up back."""
    guest = require_found(await guest_views.get_guest(db, guest_id), "guest", guest_id)
    found = [entry for entry in await money_views.movements_by_id(db, [movement_id]) if entry.method is not None]
    top_up = require_found(found[0] if found else None, "top-up", movement_id)
    reasons = viewer.translate_all(REVERSAL_REASONS)
    return viewer.show("dialogs/reverse_top_up.html", guest=guest, top_up=top_up, reasons=reasons)


@post("/guests/{guest_id:uuid}/top-ups/{movement_id:int}/reverse", access=OPERATOR)
async def reverse_top_up(
    request: Request[Any, Any, Any],
    viewer: CurrentViewer,
    actor: CurrentActor,
    form: Form,
    guest_id: FromPath[UUID],
    movement_id: MovementInPath,
) -> Response[str]:
    """Take a top-up back."""
    given, role = form.read(Reversal), operator_of(request).role
    booked = await form.once(money.reverse_top_up, actor, role, guest_id, movement_id, given.reason)
    message = viewer.translate(N_("Done. Available now: %s"))
    return done(message % viewer.formats.money(booked.available_minor), changed=[str(guest_id), "visit"])


def may_reverse(viewer: Viewer, entry: LedgerEntry) -> bool:
    """True for a top-up that the viewer may reverse now, as far as the page knows."""
    is_open = viewer.venue is not None and entry.shift_id is not None and entry.shift_id == viewer.venue.open_shift_id
    if entry.kind is not MovementKind.TOP_UP or entry.reversed_by_movement_id is not None or not is_open:
        return False
    is_fresh = entry.age_ms < money.REVERSAL_ALONE_MINUTES * 60_000
    is_own = viewer.operator is not None and viewer.operator.username == entry.actor
    return viewer.may("shift_lead") or (is_own and is_fresh)


@get("/visits/{visit_id:uuid}/refund", access=SHIFT_LEAD)
async def ask_for_refund(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """The form of a refund."""
    visit = await require_visit(db, visit_id)
    reasons = viewer.translate_all(REFUND_REASONS)
    guest = require_found(await guest_views.get_guest(db, visit.guest_id), "guest", visit.guest_id)
    presets = [(viewer.formats.plain_money(guest.refundable_minor), viewer.formats.money(guest.refundable_minor))]
    return viewer.show("dialogs/refund.html", visit=visit, guest=guest, presets=presets, methods=METHODS, reasons=reasons)


@post("/visits/{visit_id:uuid}/refund", access=SHIFT_LEAD)
async def refund(db: Db, viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Give a guest money back."""
    visit, given = await require_visit(db, visit_id), form.read(Refund, money=MONEY)
    form.require_usual(given.amount_minor)
    booked = await form.once(money.refund, actor, visit.guest_id, given.amount_minor, given.method, given.reason, visit.venue_id)
    message = viewer.translate(N_("Done. Available now: %s"))
    return done(message % viewer.formats.money(booked.available_minor), changed=[str(visit_id), str(visit.guest_id), "visit"])


@get("/guests/{guest_id:uuid}/comp", access=SHIFT_LEAD)
async def ask_for_comp(db: Db, viewer: CurrentViewer, guest_id: FromPath[UUID]) -> Response[str]:
    """The form of a comp."""
    guest = require_found(await guest_views.get_guest(db, guest_id), "guest", guest_id)
    return viewer.show("dialogs/comp.html", guest=guest, reasons=viewer.translate_all(COMP_REASONS))


@post("/guests/{guest_id:uuid}/comp", access=SHIFT_LEAD)
async def comp(viewer: CurrentViewer, actor: CurrentActor, form: Form, guest_id: FromPath[UUID]) -> Response[str]:
    """Give a guest money of the house, at the chosen venue."""
    given, venue_id = form.read(Comp, money=MONEY), viewer.required_venue.venue_id
    form.require_usual(given.amount_minor)
    booked = await form.once(money.comp, actor, guest_id, given.amount_minor, given.reason, None, venue_id, form.db.scope)
    message = viewer.translate(N_("Done. Available now: %s"))
    return done(message % viewer.formats.money(booked.available_minor), changed=[str(guest_id), "visit"])


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
    ask_for_top_up_before,
    top_up_before,
    ask_to_reverse,
    reverse_top_up,
    ask_for_refund,
    refund,
    ask_for_comp,
    comp,
    ask_to_adjust,
    adjust,
)
