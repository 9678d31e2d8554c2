"""Visits: open ones, their cards and closing; stuck visits first."""

from typing import Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.console.forms import Form
from tapwire_admin.console.pages.check_in import readers_of, reading_of
from tapwire_admin.console.render import done
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.live import Live
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromQuery, PageQuery
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.routes.cards import Because
from tapwire_admin.routes.visits import DEFAULT_REASON, Alcohol, CardForVisit, CloseVisit, Extension, Rearm
from tapwire_core.db.engine import Database
from tapwire_core.db.views import pours as pour_views
from tapwire_core.db.views import visits as visit_views
from tapwire_core.db.views.pours import PourFilter
from tapwire_core.db.views.queries import PageRequest
from tapwire_core.db.views.visits import VisitView
from tapwire_core.domain.closed_sets import VisitStatus
from tapwire_core.domain.shown import Noun
from tapwire_core.services import cards, visits
from tapwire_core.services.shown import read_shown

LOST_REASONS: Final = (N_("reported by the guest"), N_("found without a guest"))
REARM_REASONS: Final = (N_("looked at the guest, all is well"), N_("with friends"), N_("had a meal"))
NO_ALCOHOL_REASONS: Final = (N_("the guest has had enough"), N_("the guest drives"))
ALCOHOL_REASONS: Final = (N_("the age was checked"), N_("refused by mistake"))


@get("/visits", access=OPERATOR)
async def show_visits(
    db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery, status: FromQuery[VisitStatus] = VisitStatus.ACTIVE
) -> Response[str]:
    """Open or closed visits."""
    shown = await _visits(db, viewer.required_venue.venue_id, status, page)
    return viewer.show("visits.html", shell=shell, status=status, **shown)


@get("/parts/visits", access=OPERATOR)
async def show_list(db: Db, viewer: CurrentViewer, page: PageQuery) -> Response[str]:
    """The open visits."""
    shown = await _visits(db, viewer.required_venue.venue_id, VisitStatus.ACTIVE, page)
    return viewer.show("parts/visits.html", status=VisitStatus.ACTIVE, **shown)


@get("/visits/{visit_id:uuid}", access=OPERATOR)
async def show_visit(
    db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery, visit_id: FromPath[UUID]
) -> Response[str]:
    """One visit with its pours."""
    return viewer.show("visit.html", shell=shell, **await _visit(db, visit_id, page))


@get("/visits/{visit_id:uuid}/body", access=OPERATOR)
async def show_body(db: Db, viewer: CurrentViewer, page: PageQuery, visit_id: FromPath[UUID]) -> Response[str]:
    """The live part of a visit's page."""
    return viewer.show("parts/visit.html", **await _visit(db, visit_id, page))


@get("/visits/{visit_id:uuid}/card", access=OPERATOR)
async def ask_for_card(db: Db, viewer: CurrentViewer, live: NamedDependency[Live], visit_id: FromPath[UUID]) -> Response[str]:
    """The form of a new card for the visit."""
    shown = await read_shown(db, Noun.VISIT, visit_id)
    readers = await readers_of(db, viewer, live)
    return viewer.show("dialogs/assign_card.html", visit=await require_visit(db, visit_id), readers=readers, shown=shown)


@post("/visits/{visit_id:uuid}/card", access=OPERATOR, shows=Noun.VISIT)
async def assign_card(
    db: Db, viewer: CurrentViewer, live: NamedDependency[Live], actor: CurrentActor, form: Form, visit_id: FromPath[UUID]
) -> Response[str]:
    """Assign a card to the visit."""
    card_uid, reading = form.read(CardForVisit).card_uid, await reading_of(db, viewer, live, form)
    await form.only(["card_uid"]).once(visits.assign_card, actor, visit_id, card_uid, reading)
    return done(viewer.translate(N_("The card works now.")), changed=[str(visit_id), "visit"])


@get("/visits/{visit_id:uuid}/lost", access=OPERATOR)
async def ask_for_lost(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """Ask for confirmation that the card is lost."""
    shown, reasons = await read_shown(db, Noun.VISIT, visit_id), viewer.translate_all(LOST_REASONS)
    return viewer.show("dialogs/report_card_lost.html", shown=shown, visit=await require_visit(db, visit_id), reasons=reasons)


@post("/visits/{visit_id:uuid}/lost", access=OPERATOR, shows=Noun.VISIT)
async def report_lost(db: Db, viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Report the visit's card lost."""
    visit = await require_visit(db, visit_id)
    await form.only(["card_uid"]).once(
        cards.report_card_lost, actor, require_found(visit.card_uid, "card of visit", visit_id), form.read(Because).reason
    )
    message = viewer.translate(N_("The card no longer works. Issue another one, or close the visit."))
    return done(message, changed=[str(visit_id), "visit"])


@get("/visits/{visit_id:uuid}/rearm", access=OPERATOR)
async def ask_to_rearm(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """Ask why the guest may go on."""
    shown, reasons = await read_shown(db, Noun.VISIT, visit_id), viewer.translate_all(REARM_REASONS)
    return viewer.show("dialogs/rearm.html", shown=shown, visit=await require_visit(db, visit_id), reasons=reasons)


@post("/visits/{visit_id:uuid}/rearm", access=OPERATOR, shows=Noun.VISIT)
async def rearm(viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Let the guest go on: the serving limit counts anew."""
    await form.only(["status"]).once(visits.rearm, actor, visit_id, form.read(Rearm).reason)
    return done(viewer.translate(N_("The guest can pour again.")), changed=[str(visit_id), "visit"])


@get("/visits/{visit_id:uuid}/alcohol", access=OPERATOR)
async def ask_for_alcohol(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """Ask why the visit gets no alcohol, or gets it again."""
    shown, visit = await read_shown(db, Noun.VISIT, visit_id), await require_visit(db, visit_id)
    reasons = NO_ALCOHOL_REASONS if visit.alcohol_allowed else ALCOHOL_REASONS
    return viewer.show("dialogs/alcohol.html", shown=shown, visit=visit, reasons=viewer.translate_all(reasons))


@post("/visits/{visit_id:uuid}/alcohol", access=OPERATOR, shows=Noun.VISIT)
async def set_alcohol(viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Allow the visit alcohol, or refuse it."""
    wanted = form.read(Alcohol)
    await form.only(["alcohol_allowed"]).once(visits.set_alcohol, actor, visit_id, allowed=wanted.allowed, reason=wanted.reason)
    return done(viewer.translate(N_("Done.")), changed=[str(visit_id), "visit"])


@get("/visits/{visit_id:uuid}/extend", access=OPERATOR)
async def ask_to_extend(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """Ask for how much longer the visit lasts."""
    shown = await read_shown(db, Noun.VISIT, visit_id)
    return viewer.show("dialogs/extend.html", shown=shown, visit=await require_visit(db, visit_id))


@post("/visits/{visit_id:uuid}/extend", access=OPERATOR, shows=Noun.VISIT)
async def extend(viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Let the visit last longer."""
    await form.only(["valid_until"]).once(visits.extend, actor, visit_id, form.read(Extension).hours)
    return done(viewer.translate(N_("The visit is extended.")), changed=[str(visit_id), "visit"])


@get("/visits/{visit_id:uuid}/close", access=OPERATOR)
async def ask_to_close(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """Ask for confirmation."""
    shown = await read_shown(db, Noun.VISIT, visit_id)
    return viewer.show("dialogs/close_visit.html", shown=shown, visit=await require_visit(db, visit_id))


@post("/visits/{visit_id:uuid}/close", access=OPERATOR, shows=Noun.VISIT)
async def close(viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Close the visit; one with a pending pour needs `void`."""
    await form.only(["pour_id"]).once(visits.close_visit, actor, visit_id, form.read(CloseVisit).pour_id)
    return done(viewer.translate(N_("The visit is closed.")), changed=[str(visit_id), "visit"])


@post("/visits/{visit_id:uuid}/void", access=SHIFT_LEAD, shows=Noun.VISIT)
async def void_and_close(viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]) -> Response[str]:
    """Void the pending pour, and close the visit."""
    wanted = form.read(CloseVisit)
    await form.only(["pour_id"]).once(visits.void_and_close_visit, actor, visit_id, wanted.pour_id, wanted.reason or DEFAULT_REASON)
    return done(viewer.translate(N_("The visit is closed.")), changed=[str(visit_id), "visit"])


async def require_visit(db: Database, visit_id: UUID) -> VisitView:
    """One visit, or 404."""
    return require_found(await visit_views.get_visit(db, visit_id), "visit", visit_id)


async def _visits(db: Database, venue_id: str, status: VisitStatus, page: PageRequest) -> dict[str, object]:
    """A page of visits: stuck ones and the others, apart."""
    is_open = status is VisitStatus.ACTIVE
    shown = await visit_views.list_visits(db, venue_id=venue_id, status=status, stuck_first=is_open, page=page)
    stuck = [visit for visit in shown.items if visit.stuck]
    others = [visit for visit in shown.items if not visit.stuck]
    return {"stuck": stuck, "visits": others, "page": shown, "cursor": page.cursor}


async def _visit(db: Database, visit_id: UUID, page: PageRequest) -> dict[str, object]:
    pours = await pour_views.list_pours(db, PourFilter(visit_id=visit_id), page)
    return {"visit": await require_visit(db, visit_id), "page": pours, "cursor": page.cursor}


HANDLERS = (
    show_visits,
    show_list,
    show_visit,
    show_body,
    ask_for_card,
    assign_card,
    ask_for_lost,
    report_lost,
    ask_to_rearm,
    rearm,
    ask_for_alcohol,
    set_alcohol,
    ask_to_extend,
    extend,
    ask_to_close,
    close,
    void_and_close,
)
