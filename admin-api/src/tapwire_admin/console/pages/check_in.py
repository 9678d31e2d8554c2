"""Check-in: pick a guest, place a card on a reader, open the visit with one press."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.access.venue_guard import GUESTS
from tapwire_admin.console.activity import latest_at_counter
from tapwire_admin.console.choices import FIRST_CHOICES
from tapwire_admin.console.error_answers import problem_text
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.live import Live, LiveKind
from tapwire_admin.requests.dependencies import CurrentActor, Db, TextQuery
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.routes.guest_pages import GuestPageUrl, url_while_it_lasts
from tapwire_admin.routes.guests import NewGuest
from tapwire_admin.routes.visits import NewVisitWithCard
from tapwire_contracts.reasons import Presence
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.db.views import guests as views
from tapwire_core.db.views.devices import DeviceView, list_readers
from tapwire_core.db.views.guests import GuestView
from tapwire_core.db.views.queries import Page, PageRequest, with_items
from tapwire_core.db.views.search_ids import count_guests
from tapwire_core.db.views.visits import VisitView, get_visit
from tapwire_core.domain.shown import Noun
from tapwire_core.domain.venue_scope import VenueScope
from tapwire_core.errors import Refused
from tapwire_core.services import guests, visits
from tapwire_core.services.cards import Reading, card_warnings

MAX_SUGGESTIONS: Final = 6


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of the venue, and the card on it."""

    path: DevicePath
    online: bool
    card_uid: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """Result of an attempt: `success`, or the refusal's code with its facts."""

    code: str
    text: str
    visit: VisitView | None
    facts: dict[str, Any]
    guest: GuestView | None
    card_uid: str
    page: GuestPageUrl | None = None
    """The address of the guest's own page, for a QR code."""


@get("/check-in", access=OPERATOR)
async def show_check_in(
    db: Db, viewer: CurrentViewer, shell: ShellContext, live: NamedDependency[Live], guest_id: FromQuery[UUID | None] = None
) -> Response[str]:
    """The page, with the guest if one was picked."""
    guest = require_found(await views.get_guest(db, guest_id), "guest", guest_id) if guest_id else None
    desk = await _page_context(db, viewer, live, guest, None)
    return viewer.show("check_in.html", shell=shell, entries=await latest_at_counter(db), **desk)


@get("/check-in/guests", access=OPERATOR)
async def search_guests(db: Db, viewer: CurrentViewer, search: TextQuery = None) -> Response[str]:
    """Guests that match the typed text."""
    page = views.in_list(await views.list_guests(db, search=search or None, page=PageRequest(limit=MAX_SUGGESTIONS)))
    more = await count_guests(db, search) - len(page.items) if search and page.next_cursor else 0
    return viewer.show("parts/guests_found.html", guests=page.items, more=more, search=search or "")


@get("/check-in/readers", access=OPERATOR)
async def search_readers(
    db: Db, viewer: CurrentViewer, live: NamedDependency[Live], search: TextQuery = None, reader: TextQuery = None
) -> Response[str]:
    """Readers of the venue that match the typed text, and the chosen one."""
    return viewer.show("parts/readers_found.html", readers=await readers_of(db, viewer, live, search, reader))


@get("/check-in/new-guest", access=OPERATOR)
async def ask_for_guest(viewer: CurrentViewer, search: TextQuery = None) -> Response[str]:
    """The form of a new guest, filled with the search text."""
    return viewer.show("dialogs/new_guest.html", name=search or "")


@post("/check-in/new-guest", access=OPERATOR, about=GUESTS)
async def create_guest(actor: CurrentActor, form: Form) -> Response[str]:
    """Add a guest, and pick them."""
    new = form.read(NewGuest)
    guest_id = await form.once(
        guests.create_guest,
        actor,
        first_name=new.first_name,
        last_name=new.last_name,
        phone=new.phone,
        birth_date=new.birth_date,
        age_checked=new.age_checked,
    )
    return go_to(f"/check-in?guest_id={guest_id}")


@post("/check-in", access=OPERATOR, shows=Noun.VENUE)
async def open_visit(
    request: Request[Any, Any, Any],
    db: Db,
    viewer: CurrentViewer,
    live: NamedDependency[Live],
    actor: CurrentActor,
    form: Form,
) -> Response[str]:
    """Open the visit and assign the card, or show the refusal and the next step."""
    wanted = form.read(NewVisitWithCard, venue_id=form.venue_id)
    guest = await views.get_guest(db, wanted.guest_id)
    try:
        reading = await reading_of(db, viewer, live, form)
        opened = await form.once(
            visits.open_and_assign_card, actor, wanted.venue_id, wanted.guest_id, wanted.card_uid, wanted.party, reading
        )
    except Refused as refusal:
        await visits.note_refused_issue(db, actor, wanted.venue_id, wanted.guest_id, wanted.card_uid, refusal)
        text = problem_text(viewer, refusal.code, str(refusal), refusal.facts)
        visit = await _blocking_visit(db, refusal)
        result = Result(refusal.code, text, visit, refusal.facts, guest, wanted.card_uid)
        return viewer.show("parts/check_in.html", **await _page_context(db, viewer, live, guest, result))
    visit = await get_visit(db, opened.visit_id)
    facts = {"stages": opened.stages, "warnings": card_warnings(wanted.card_uid)}
    page = await url_while_it_lasts(request, db, opened.visit_id)
    result = Result("success", "", visit, facts, guest, wanted.card_uid, page)
    return viewer.show("parts/check_in.html", **await _page_context(db, viewer, live, None, result))


async def _page_context(db: Database, viewer: Viewer, live: Live, guest: GuestView | None, result: Result | None) -> dict[str, Any]:
    readers = await readers_of(db, viewer, live)
    return {"guest": views.masked(guest) if guest else None, "result": result, "readers": readers}


async def _blocking_visit(db: Database, refusal: Refused) -> VisitView | None:
    visit_id = refusal.facts.get("visit_id")
    return await get_visit(db, visit_id) if isinstance(visit_id, UUID) else None


async def readers_of(
    db: Database, viewer: Viewer, live: Live, search: str | None = None, chosen: str | None = None
) -> Page[Reader]:
    """The venue's first readers: the chosen one, then those at the desk, then the taps'."""
    venue_id = viewer.required_venue.venue_id
    found = await list_readers(db, venue_id, search=search or None, chosen=chosen or None, page=FIRST_CHOICES)
    readers = [_reader(live, device) for device in found.items]
    return with_items(found, readers)


async def reading_of(db: Database, viewer: Viewer, live: Live, form: SubmittedForm) -> Reading | None:
    """The reader that a form relies on, and the card on it now; None if the card's number was typed."""
    path = form.values.get("reader")
    if path is None or "typed" in form.values:
        return None
    cards = {str(reader.path): reader.card_uid for reader in (await readers_of(db, viewer, live, chosen=path)).items}
    return Reading(path, cards.get(path))


def _reader(live: Live, device: DeviceView) -> Reader:
    """A reader by its newest live values, or by its stored state until it was heard; without a broker nothing is known of it."""
    path = DevicePath.parse(device.path)
    cards = live.cards(VenueScope.of([path.venue_id]))
    if str(path) in cards or live.newest(LiveKind.NODE, str(path)):
        return Reader(path, live.is_online(str(path)), cards.get(str(path)))
    is_online = live.link["broker"] and device.node_status is Presence.ONLINE
    card = (device.node_state or {}).get("card") if is_online else None
    return Reader(path, is_online, str(card["card_uid"]) if card else None)


HANDLERS = (show_check_in, search_guests, search_readers, ask_for_guest, create_guest, open_visit)
