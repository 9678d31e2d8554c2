"""Guests: search, account, and timeline."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath
from msgspec import UNSET, Struct

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.access.personal_data import guest_on_own_page, may_read_personal_data, shown_to
from tapwire_admin.console.audit_summaries import audit_summary, icon_of, shown_action
from tapwire_admin.console.forms import Form
from tapwire_admin.console.libraries import Icon
from tapwire_admin.console.pages.money import may_reverse
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery, TextQuery
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.routes.guests import Erasure, GuestChange
from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database
from tapwire_core.db.views import guests as guest_views
from tapwire_core.db.views import money as money_views
from tapwire_core.db.views.audit import entries_by_id
from tapwire_core.db.views.guest_timeline import Moment, MomentKind, list_moments
from tapwire_core.db.views.money import LedgerEntry, MovementKind
from tapwire_core.db.views.pours import PourView, pours_by_id
from tapwire_core.db.views.queries import Page, PageRequest, with_items
from tapwire_core.db.views.visits import get_visit
from tapwire_core.domain.shown import Noun
from tapwire_core.services import guest_erasures, guests
from tapwire_core.services.shown import read_shown

SHOWN_AS_MOVEMENTS: Final = frozenset(
    {
        AuditAction.POUR_AUTHORIZED,
        AuditAction.POUR_SYNCED,
        AuditAction.TOP_UP,
        AuditAction.REFUND,
        AuditAction.ADJUSTMENT,
        AuditAction.COMP,
        AuditAction.TOP_UP_REVERSED,
        AuditAction.PAYMENT_PAID,
        AuditAction.PAYMENT_REVERSED,
        AuditAction.DEPOSIT_TAKEN,
        AuditAction.DEPOSIT_RETURNED,
        AuditAction.DEPOSIT_FORFEITED,
        AuditAction.VISIT_OPENED,
        AuditAction.VISIT_CLOSED,
    }
)
"""Audit actions that the timeline shows as movement, pour or visit already."""


class TimelineEntry(Struct, frozen=True):
    """One line of a guest's timeline.

    `amount_minor` is the change of the balance, null where there is none; `reversible_id`: the top-up that the viewer may reverse.
    """

    at: datetime
    icon: Icon
    kind: str
    word: str
    detail: str = ""
    volume_ml: int | None = None
    amount_minor: int | None = None
    reversible_id: int | None = None


@get("/guests", access=OPERATOR)
async def show_guests(
    db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery, search: TextQuery = None
) -> Response[str]:
    """Guests that match the search."""
    shown = guest_views.in_list(await guest_views.list_guests(db, search=search or None, page=page))
    return viewer.show("guests.html", shell=shell, page=shown, search=search or "")


@get("/parts/guests", access=OPERATOR)
async def show_list(db: Db, viewer: CurrentViewer, page: PageQuery, search: TextQuery = None) -> Response[str]:
    """The list of guests that match the typed text."""
    shown = guest_views.in_list(await guest_views.list_guests(db, search=search or None, page=page))
    return viewer.show("parts/guests.html", page=shown, search=search or "")


@get("/guests/{guest_id:uuid}", access=OPERATOR)
async def show_guest(
    request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery, guest_id: FromPath[UUID]
) -> Response[str]:
    """One guest."""
    return viewer.show("guest.html", shell=shell, **await _guest(request, db, viewer, guest_id, page))


@get("/guests/{guest_id:uuid}/body", access=OPERATOR)
async def show_body(
    request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, page: PageQuery, guest_id: FromPath[UUID]
) -> Response[str]:
    """The live part of a guest's page."""
    return viewer.show("parts/guest.html", **await _guest(request, db, viewer, guest_id, page))


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
    filled_in = ("first_name", "last_name", *(("phone", "birth_date") if may_read_personal_data(request) else ()))
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


@get("/guests/{guest_id:uuid}/erase", access=SHIFT_LEAD)
async def ask_to_erase(request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, guest_id: FromPath[UUID]) -> Response[str]:
    """The form that erases a guest, or what is to be settled before."""
    shown = shown_to(request, await read_shown(db, Noun.GUEST, guest_id))
    guest = require_found(await guest_views.get_guest(db, guest_id), "guest", guest_id)
    unsettled = await guest_erasures.read_unsettled(db, guest_id, db.scope)
    return viewer.show("dialogs/erase_guest.html", guest=guest, shown=shown, unsettled=unsettled)


@post("/guests/{guest_id:uuid}/erase", access=SHIFT_LEAD, shows=Noun.GUEST)
async def erase(db: Db, actor: CurrentActor, form: Form, guest_id: FromPath[UUID]) -> Response[str]:
    """Erase a guest."""
    given = form.read(Erasure)
    await form.once(guest_erasures.erase_guest, actor, guest_id, given.reason, db.scope)
    return go_to(f"/guests/{guest_id}")


async def _guest(
    request: Request[Any, Any, Any], db: Database, viewer: Viewer, guest_id: UUID, page: PageRequest
) -> dict[str, Any]:
    shown = shown_to(request, await read_shown(db, Noun.GUEST, guest_id))
    guest = await guest_on_own_page(db, request, guest_id)
    visit = await get_visit(db, guest.active_visit_id) if guest.active_visit_id else None
    timeline = await _timeline(db, viewer, guest_id, page)
    return {"shown": shown, "guest": guest, "visit": visit, "page": timeline, "cursor": page.cursor}


async def _timeline(db: Database, viewer: Viewer, guest_id: UUID, page: PageRequest) -> Page[TimelineEntry]:
    """A guest's timeline, the latest first; a charge shows its pour's volume."""
    found = await list_moments(db, guest_id, left_out=SHOWN_AS_MOVEMENTS, page=page)
    moved = await money_views.movements_by_id(db, _numbers(found.items, MomentKind.MOVEMENT))
    pours = {pour.pour_id: pour for pour in await pours_by_id(db, {entry.pour_id for entry in moved if entry.pour_id})}
    movements = {entry.movement_id: entry for entry in moved}
    audited = {entry.audit_id: entry for entry in await entries_by_id(db, _numbers(found.items, MomentKind.AUDITED))}

    def entry_of(moment: Moment) -> TimelineEntry:
        if moment.kind is MomentKind.MOVEMENT:
            return _movement(movements[int(moment.key)], pours, viewer)
        if moment.kind is MomentKind.AUDITED:
            entry = audited[int(moment.key)]
            action = shown_action(entry)
            detail = audit_summary(viewer.locale, viewer.formats, entry) or entry.actor
            return TimelineEntry(moment.at, icon_of(action), "action", action, detail)
        return TimelineEntry(moment.at, Icon("door-open"), "action", moment.kind, moment.actor or "")

    return with_items(found, map(entry_of, found.items))


def _movement(entry: LedgerEntry, pours: Mapping[UUID, PourView], viewer: Viewer) -> TimelineEntry:
    pour = pours.get(entry.pour_id) if entry.pour_id else None
    if pour is not None and entry.kind is MovementKind.CHARGE:
        detail = f"{pour.beverage_name} · {pour.tap_id}"
        return TimelineEntry(entry.created_at, Icon("beer"), "movement", entry.kind, detail, pour.volume_ml, entry.amount_minor)
    beside_balance = viewer.formats.money(entry.moved_minor) if not entry.amount_minor else None
    detail = " · ".join(part for part in (beside_balance, entry.reason, entry.actor) if part)
    return TimelineEntry(
        entry.created_at,
        Icon("banknote"),
        "movement",
        entry.kind,
        detail,
        amount_minor=entry.amount_minor or None,
        reversible_id=entry.movement_id if may_reverse(viewer, entry) else None,
    )


def _numbers(moments: Iterable[Moment], kind: MomentKind) -> list[int]:
    return [int(moment.key) for moment in moments if moment.kind is kind]


HANDLERS = (
    show_guests,
    show_list,
    show_guest,
    show_body,
    ask_for_change,
    change,
    block,
    ask_to_erase,
    erase,
)
