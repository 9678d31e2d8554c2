"""Recovery of a pour without a report: settle it by hand, or unlock its visit."""

from typing import Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from tapwire_admin.access.auth import SHIFT_LEAD
from tapwire_admin.console.forms import Form
from tapwire_admin.console.pages.visits import require_visit
from tapwire_admin.console.render import done
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.live import Live, LiveKind
from tapwire_admin.requests.dependencies import CurrentActor, Db
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.routes.visits import ForceUnlock, ReconcilePour
from tapwire_core.db.views.taps import get_tap
from tapwire_core.db.views.visits import VisitView
from tapwire_core.domain.booking import share_due
from tapwire_core.domain.money import payable_minor
from tapwire_core.domain.shown import Noun
from tapwire_core.services import pour_recovery
from tapwire_core.services.request_limits import MAX_VOLUME_ML
from tapwire_core.services.shown import read_shown

RECONCILE_REASONS: Final = (N_("no report received"), N_("tap is broken"), N_("estimated with the guest"))
UNLOCK_REASONS: Final = (N_("nothing was poured"), N_("tap is broken"))
MAX_DIGITS: Final = len(str(MAX_VOLUME_ML))


@get("/visits/{visit_id:uuid}/reconcile", access=SHIFT_LEAD)
async def ask_to_reconcile(db: Db, viewer: CurrentViewer, live: NamedDependency[Live], visit_id: FromPath[UUID]) -> Response[str]:
    """The form of settling by hand, with the grant and the tap's last known volume."""
    shown = await read_shown(db, Noun.VISIT, visit_id)
    visit = await require_visit(db, visit_id)
    pour = require_found(visit.pending_pour, "pending pour of visit", visit_id)
    reasons = viewer.translate_all(RECONCILE_REASONS)
    progress = live.newest(LiveKind.PROGRESS, pour.tap) or {}
    heard_ml = progress["volume_ml"] if progress.get("pour_id") == str(pour.pour_id) else pour.progress_ml
    tap = await get_tap(db, pour.tap)
    preview = _preview(visit, heard_ml or 0)
    context = {"visit": visit, "shown": shown, "pour": pour, "tap": tap, "heard_ml": heard_ml, "reasons": reasons}
    return viewer.show("dialogs/reconcile.html", **context, preview=preview)


@get("/visits/{visit_id:uuid}/reconcile/preview", access=SHIFT_LEAD)
async def preview_charge(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID], volume_ml: FromQuery[str] = "") -> Response[str]:
    """The cost of a typed volume."""
    typed = volume_ml.strip()
    known = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= MAX_DIGITS else None
    visit = await require_visit(db, visit_id)
    preview = _preview(visit, known) if known is not None and visit.pending_pour else None
    return viewer.show("parts/charge_preview.html", preview=preview)


@post("/visits/{visit_id:uuid}/reconcile", access=SHIFT_LEAD, shows=Noun.VISIT)
async def reconcile(viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Settle the pour by hand."""
    given = form.read(ReconcilePour)
    await form.only(()).once(  # its own pour_id says more: the pour's final state
        pour_recovery.reconcile_pour,
        actor,
        visit_id,
        volume_ml=given.volume_ml,
        reason=given.reason,
        comment=given.comment,
        pour_id=given.pour_id,
    )
    return done(viewer.translate(N_("The pour is settled.")), changed=[str(visit_id), "visit"])


@get("/visits/{visit_id:uuid}/unlock", access=SHIFT_LEAD)
async def ask_to_unlock(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """Ask for confirmation that nothing is charged."""
    shown, reasons = await read_shown(db, Noun.VISIT, visit_id), viewer.translate_all(UNLOCK_REASONS)
    return viewer.show("dialogs/unlock.html", shown=shown, visit=await require_visit(db, visit_id), reasons=reasons)


@post("/visits/{visit_id:uuid}/unlock", access=SHIFT_LEAD, shows=Noun.VISIT)
async def unlock(viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Void the pour: nothing is charged, hold and leases are freed."""
    given = form.read(ForceUnlock)
    await form.only(["pour_id"]).once(pour_recovery.force_unlock, actor, visit_id, reason=given.reason, pour_id=given.pour_id)
    return done(viewer.translate(N_("The visit is unlocked.")), changed=[str(visit_id), "visit"])


def _preview(visit: VisitView, volume_ml: int) -> dict[str, int]:
    """The guest's charge, the house's loss, and the guest's remaining balance."""
    pour = visit.pending_pour
    assert pour is not None
    payable = payable_minor(visit.balance_minor, visit.held_minor, pour.hold_minor)
    amount_minor, loss_minor = share_due(volume_ml, pour.sell_price_per_liter_minor, payable)
    return {"amount_minor": amount_minor, "loss_minor": loss_minor, "left_minor": visit.balance_minor - amount_minor}


HANDLERS = (ask_to_reconcile, preview_charge, reconcile, ask_to_unlock, unlock)
