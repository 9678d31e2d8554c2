"""Check-out: lay the card on a reader, see the night, pay out or keep with one press."""

from typing import Any, Final, Literal
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.forms import Form
from tapwire_admin.console.pages.check_in import readers_of
from tapwire_admin.console.pages.visits import require_visit
from tapwire_admin.console.render import done
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.live import Live
from tapwire_admin.requests.dependencies import CurrentActor, Db, TextQuery
from tapwire_admin.requests.field_types import Reason
from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_core.db.engine import Database
from tapwire_core.db.views.pours import PourFilter, list_pours
from tapwire_core.db.views.queries import PageRequest
from tapwire_core.db.views.visits import VisitView, get_visit_to_check_out
from tapwire_core.domain.check_outs import CheckOutWish
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.shown import Noun
from tapwire_core.services import check_outs
from tapwire_core.services.receipts import get_receipt
from tapwire_core.services.shown import read_shown

MAX_POURS: Final = 8
"""The latest pours that the page shows; the receipt has all."""
SHOWN: Final = ("status", "card_uid", "balance_minor")
"""What the person decided on: they may hand out money by it."""


class CheckOutForm(Struct, kw_only=True):
    """The pressed button, and what stands beside it."""

    end: Literal["pay_out", "keep"]
    method: PaymentMethod = PaymentMethod.CASH
    reason: Reason | None = None


@get("/check-out", access=OPERATOR)
async def show_check_out(db: Db, viewer: CurrentViewer, shell: ShellContext, live: NamedDependency[Live]) -> Response[str]:
    """The page that waits for a card."""
    return viewer.show("check_out.html", shell=shell, readers=await readers_of(db, viewer, live))


@get("/check-out/night", access=OPERATOR)
async def show_night_of_card(db: Db, viewer: CurrentViewer, card_uid: TextQuery = None) -> Response[str]:
    """The night of the guest whose card was laid on."""
    try:
        uid = normalize_card_uid(card_uid or "")
    except InvalidCardUid:
        return viewer.show("parts/no_night.html", card_uid=None)
    visit = await get_visit_to_check_out(db, uid)
    if visit is None:
        return viewer.show("parts/no_night.html", card_uid=uid)
    return viewer.show("parts/night.html", **await _night(db, viewer, visit))


@get("/visits/{visit_id:uuid}/check-out", access=OPERATOR)
async def ask_to_check_out(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """The night of a visit, in a dialog."""
    return viewer.show("dialogs/check_out.html", **await _night(db, viewer, await require_visit(db, visit_id)))


@post("/visits/{visit_id:uuid}/check-out", access=OPERATOR, shows=Noun.VISIT)
async def check_out(db: Db, viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Check the guest out, and show what was done."""
    given = form.read(CheckOutForm)
    wish = CheckOutWish(
        payout=given.method if given.end == "pay_out" else None,
        card_returned=form.flag("card_returned"),
        despite_incidents=form.flag("despite_incidents"),
        reason=given.reason,
    )
    assert viewer.operator is not None, "the route has a login"
    await form.only(SHOWN).once(check_outs.check_out, actor, visit_id, wish, viewer.operator.role, db.scope)
    visit, receipt = await require_visit(db, visit_id), await get_receipt(db, visit_id)
    body = viewer.render("parts/checked_out.html", visit=visit, receipt=receipt, card_returned=wish.card_returned)
    return done(changed=[str(visit_id), str(visit.guest_id), "visit"], close=False, body=body)


async def _night(db: Database, viewer: Viewer, visit: VisitView) -> dict[str, Any]:
    return {
        "visit": visit,
        "receipt": await get_receipt(db, visit.visit_id),
        "pours": await list_pours(db, PourFilter(visit_id=visit.visit_id), PageRequest(limit=MAX_POURS, counted=True)),
        "preview": await check_outs.preview(db, visit.visit_id, db.scope),
        "methods": list(PaymentMethod),
        "shown": await read_shown(db, Noun.VISIT, visit.visit_id),
        "is_shift_lead": viewer.may("shift_lead"),
    }


HANDLERS = (show_check_out, show_night_of_card, ask_to_check_out, check_out)
