"""Guests: search, account, and timeline."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath
from msgspec import UNSET, Struct

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.access.personal_data import guest_on_own_page, may_read_personal_data, shown_to
from tapwire_admin.console.audit_summaries import audit_summary, icon_of
from tapwire_admin.console.forms import Form
from tapwire_admin.console.libraries import Icon
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery, TextQuery
from tapwire_admin.routes.guests import GuestChange
from tapwire_core.db.engine import Database
from tapwire_core.db.views import guests as guest_views
from tapwire_core.db.views import money as money_views
from tapwire_core.db.views.audit import list_audit
from tapwire_core.db.views.money import MovementKind
from tapwire_core.db.views.pours import PourFilter, list_pours
from tapwire_core.db.views.queries import PageRequest
from tapwire_core.db.views.visits import get_visit, list_visits
from tapwire_core.domain.shown import Noun
from tapwire_core.services import guests
from tapwire_core.services.shown import read_shown

MAX_TIMELINE: Final = 100
"""Maximum number of entries of each kind in a guest's timeline."""
SHOWN_AS_MOVEMENTS: Final = frozenset(
    {"pour_authorized", "pour_synced", "top_up", "refund", "adjustment", "visit_opened", "visit_closed"}
)
"""Audit actions that the timeline shows as movement, pour or visit already."""


class TimelineEntry(Struct, frozen=True):
    """One line of a guest's timeline; `amount_minor` is the change of the balance."""

    at: datetime
    icon: Icon
    kind: str
    word: str
    detail: str = ""
    volume_ml: int | None = None
    amount_minor: int | None = None


@get("/guests", access=OPERATOR)
async def show_guests(
    db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery, search: TextQuery = None
) -> Response[str]:
    """Guests that match the search."""
    shown = guest_views.in_list(await guest_views.list_guests(db, search=search or None, page=page))
    return viewer.show("guests.html", shell=shell, page=shown, search=search or "")


@get("/parts/guests", access=OPERATOR)
async def show_list(db: Db, viewer: CurrentViewer, search: TextQuery = None) -> Response[str]:
    """The list of guests that match the typed text."""
    shown = guest_views.in_list(await guest_views.list_guests(db, search=search or None))
    return viewer.show("parts/guests.html", page=shown, search=search or "")


@get("/guests/{guest_id:uuid}", access=OPERATOR)
async def show_guest(
    request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, shell: ShellContext, guest_id: FromPath[UUID]
) -> Response[str]:
    """One guest."""
    return viewer.show("guest.html", shell=shell, **await _guest(request, db, viewer, guest_id))


@get("/guests/{guest_id:uuid}/body", access=OPERATOR)
async def show_body(request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, guest_id: FromPath[UUID]) -> Response[str]:
    """The live part of a guest's page."""
    return viewer.show("parts/guest.html", **await _guest(request, db, viewer, guest_id))


@get("/guests/{guest_id:uuid}/change", access=OPERATOR)
async def ask_for_change(request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, guest_id: FromPath[UUID]) -> Response[str]:
    """The form of a guest. An operator, who reads no personal data, may type new ones."""
    shown = await read_shown(db, Noun.GUEST, guest_id)
    guest = await guest_on_own_page(db, request, guest_id)
    return viewer.show("dialogs/guest.html", guest=guest, shown=shown_to(request, shown))


@post("/guests/{guest_id:uuid}/change", access=OPERATOR, shows=Noun.GUEST)
async def change(
    request: Request[Any, Any, Any], viewer: CurrentViewer, actor: CurrentActor, form: Form, guest_id: FromPath[UUID]
) -> Response[str]:
    """Change a guest; an emptied field that its form filled in is cleared."""
    given = form.read(GuestChange)
    filled_in = ("last_name", "phone", "birth_date") if may_read_personal_data(request) else ("last_name",)
    emptied = {field: None for field in filled_in if field not in form.values}
    wanted = {name: getattr(given, name) for name in ("first_name", "last_name", "phone", "birth_date")}
    typed: dict[str, Any] = emptied | {name: value for name, value in wanted.items() if value is not UNSET}
    if changes := form.changed(**typed, age_checked=form.flag("age_checked")):
        await form.only(changes).once(guests.change_guest, actor, guest_id, **changes)
    return done(viewer.translate(N_("Done.")), changed=[str(guest_id)])


@post("/guests/{guest_id:uuid}/block", access=OPERATOR, shows=Noun.GUEST)
async def block(actor: CurrentActor, form: Form, guest_id: FromPath[UUID]) -> Response[str]:
    """Block or unblock a guest."""
    await form.only(["blocked"]).once(guests.change_guest, actor, guest_id, blocked=form.flag("blocked"))
    return go_to(f"/guests/{guest_id}")


async def _guest(request: Request[Any, Any, Any], db: Database, viewer: Viewer, guest_id: UUID) -> dict[str, Any]:
    shown = shown_to(request, await read_shown(db, Noun.GUEST, guest_id))
    guest = await guest_on_own_page(db, request, guest_id)
    visit = await get_visit(db, guest.active_visit_id) if guest.active_visit_id else None
    return {"shown": shown, "guest": guest, "visit": visit, "timeline": await _timeline(db, viewer, guest_id)}


async def _timeline(db: Database, viewer: Viewer, guest_id: UUID) -> list[TimelineEntry]:
    """A guest's timeline, the latest first."""
    page = PageRequest(limit=MAX_TIMELINE)
    timeline = await _movements(db, guest_id, page)
    for visit in (await list_visits(db, guest_id=guest_id, page=page)).items:
        timeline.append(TimelineEntry(visit.opened_at, Icon("door-open"), "action", "visit_opened", visit.opened_by))
        if visit.closed_at:
            timeline.append(TimelineEntry(visit.closed_at, Icon("door-open"), "action", "visit_closed", visit.closed_by or ""))
    for entry in (await list_audit(db, subject=str(guest_id), page=page)).items:
        if entry.action not in SHOWN_AS_MOVEMENTS:
            detail = audit_summary(viewer.locale, viewer.formats, entry) or entry.actor
            timeline.append(TimelineEntry(entry.created_at, icon_of(entry.action), "action", entry.action, detail))
    return sorted(timeline, key=lambda entry: entry.at, reverse=True)[:MAX_TIMELINE]


async def _movements(db: Database, guest_id: UUID, page: PageRequest) -> list[TimelineEntry]:
    """Movements of money; a charge shows its pour's volume."""
    pours = {pour.pour_id: pour for pour in (await list_pours(db, PourFilter(guest_id=guest_id), page)).items}
    timeline = []
    for entry in (await money_views.list_ledger(db, guest_id, page)).items:
        pour = pours.get(entry.pour_id) if entry.pour_id else None
        if pour is not None and entry.kind is MovementKind.CHARGE:
            detail = f"{pour.beverage_name} · {pour.tap_id}"
            timeline.append(
                TimelineEntry(entry.created_at, Icon("beer"), "movement", entry.kind, detail, pour.volume_ml, entry.amount_minor)
            )
        else:
            detail = " · ".join(part for part in (entry.reason, entry.actor) if part)
            timeline.append(
                TimelineEntry(entry.created_at, Icon("banknote"), "movement", entry.kind, detail, None, entry.amount_minor)
            )
    return timeline


HANDLERS = (
    show_guests,
    show_list,
    show_guest,
    show_body,
    ask_for_change,
    change,
    block,
)
