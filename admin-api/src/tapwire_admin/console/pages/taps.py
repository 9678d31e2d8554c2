"""The taps' live cards, and operators' actions: stop, lock, clean, change the keg."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from tapwire_admin.access.auth import ENGINEER, OPERATOR, operator_of
from tapwire_admin.console.choices import FIRST_CHOICES, Choice, Choices, choices_of
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.live import Live, LiveKind
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromQuery, PageQuery, SlugInPath, TextQuery
from tapwire_admin.requests.field_types import Name
from tapwire_admin.requests.parameters import read_uuid, require_found
from tapwire_admin.routes.taps import KegOffTap, KegOnTap, StopTap, TapChange
from tapwire_contracts.reasons import Phase
from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.views import kegs as keg_views
from tapwire_core.db.views import taps as tap_views
from tapwire_core.db.views.keg_reports import report_keg
from tapwire_core.db.views.kegs import KegView
from tapwire_core.db.views.queries import MAX_LIMIT, Page
from tapwire_core.db.views.taps import TapView
from tapwire_core.db.views.visits import allowances_of_visits
from tapwire_core.domain.closed_sets import KegFinish, TapStatus
from tapwire_core.domain.kegs import likely_finish
from tapwire_core.domain.money import charge
from tapwire_core.domain.serving_limits import Allowance, EthanolLimit, ServingLimit
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import NotFound
from tapwire_core.services import taps
from tapwire_core.services.shown import read_shown

OFFLINE: Final = "OFFLINE"
NO_NODE: Final = "NO_NODE"
STOP_REASONS: Final = (N_("stopped by staff"), N_("guest asked for it"), N_("problem with the tap"))
LOCK_REASONS: Final = (N_("out of order"), N_("keg change"), N_("closed for now"))
OUT_OF_SERVICE: Final = frozenset({"locked", "cleaning", "emergency_stop"})


class RoomForm(Struct, kw_only=True):
    """The room of a tap as typed; empty for none."""

    room: Name | None = None


class Card:
    """A tap's card: the books, overridden by the node's newest live values."""

    def __init__(self, tap: TapView, live: Live, limit: ServingLimit | None, allowances: Mapping[UUID, Allowance]) -> None:
        self.tap: Final = tap
        self.allowance: Final = allowances.get(tap.pending_visit_id) if tap.pending_visit_id else None
        is_on = tap.beverage_id is not None and tap.status not in OUT_OF_SERVICE
        self.lacks_strength: Final = is_on and tap.beverage_abv is None and isinstance(limit, EthanolLimit)
        state = live.newest(LiveKind.NODE, tap.tap) or {}
        progress = live.newest(LiveKind.PROGRESS, tap.tap) or {}
        self.phase: Final = self._phase(state)
        is_this = progress.get("pour_id") == str(tap.pending_pour_id)
        self.ml: Final[int] = progress["volume_ml"] if is_this else tap.pending_progress_ml or 0

    @property
    def flows(self) -> bool:
        """True if the card shows a pour; false on a tap taken out of service meanwhile."""
        return self.tap.pending_pour_id is not None and self.tap.status not in OUT_OF_SERVICE

    @property
    def money_minor(self) -> int:
        """Cost of the volume so far."""
        return charge(self.ml, self.tap.pending_price_minor) if self.tap.pending_price_minor else 0

    @property
    def share(self) -> float:
        """Share of the grant that has flowed, 0 to 1."""
        return min(self.ml / self.tap.pending_max_volume_ml, 1) if self.tap.pending_max_volume_ml else 0

    @property
    def needs(self) -> list[str]:
        """What somebody must do about the tap, the most urgent first; labels are in `TAP_NEEDS`."""
        tap = self.tap
        is_empty = tap.keg_id is None or (tap.keg_book_volume_ml or 0) <= 0
        found = {
            "emergency_stop": tap.status == "emergency_stop",
            "incidents": tap.open_incidents > 0,
            "empty": is_empty,
            "offline": self.phase == OFFLINE,
            "no_node": self.phase == NO_NODE,
            "fault": self.phase in (Phase.FAULT, Phase.OUT_OF_SERVICE),
            "lacks_strength": self.lacks_strength,
            "locked": tap.status == "locked",
            "cleaning": tap.status == "cleaning",
            "almost_gone": tap.almost_gone and not is_empty,
        }
        return [need for need, is_so in found.items() if is_so]

    @property
    def topics(self) -> str:
        """Topics of facts that change this card."""
        tap = self.tap
        return " ".join(str(found) for found in (tap.tap, tap.venue_id, tap.keg_id, tap.beverage_id) if found)

    def _phase(self, state: dict[str, Any]) -> str:
        if state:
            return str(state["phase"]) if state["status"] == "online" else OFFLINE
        if self.tap.node_status is None:
            return NO_NODE
        return self.tap.node_phase or Phase.IDLE if self.tap.node_status == "online" else OFFLINE


@get("/", access=OPERATOR)
async def show_taps(
    db: Db, viewer: CurrentViewer, shell: ShellContext, live: NamedDependency[Live], page: PageQuery, tap: TextQuery = None
) -> Response[Any]:
    """The venue's taps, or this one; without a venue or tap, the set-up."""
    if viewer.venue is None:
        return set_up_page(viewer)
    if tap is not None:
        found_taps = Page((require_found(await tap_views.get_tap(db, tap), "tap", tap),), None)
    else:
        found_taps = await tap_views.list_taps(db, viewer.venue.venue_id, page)
    if not found_taps.items and viewer.may("engineer"):
        return set_up_page(viewer)
    cards = await cards_of(db, live, viewer, found_taps.items)
    return viewer.show("taps.html", shell=shell, in_place=False, cards=cards, page=found_taps, tap=tap)


@get("/parts/taps", access=OPERATOR)
async def show_cards(
    db: Db, viewer: CurrentViewer, live: NamedDependency[Live], tap: Annotated[list[str], QueryParameter(max_items=MAX_LIMIT)]
) -> Response[str]:
    """Fresh cards of some taps, each replacing the page's."""
    cards = await cards_of(db, live, viewer, await tap_views.find_taps(db, tap))
    return viewer.show("parts/taps.html", in_place=True, cards=cards)


@get("/taps/{venue:str}/{tap:str}/actions", access=OPERATOR)
async def show_actions(
    db: Db, viewer: CurrentViewer, venue: SlugInPath, tap: SlugInPath, first: FromQuery[Literal["keg", "service"]] = "keg"
) -> Response[str]:
    """A tap's actions: status and keg; `first` comes first."""
    as_shown = await read_shown(db, Noun.TAP, str(tap_path(venue, tap)))
    shown = await _tap(db, venue, tap)
    suggested = await _suggested_keg(db, shown)
    kegs = await _keg_choices(db, viewer, shown, suggested, None, suggested)
    context = {"tap": shown, "shown": as_shown, "kegs": kegs, "suggested": suggested, "reasons": viewer.translate_all(LOCK_REASONS)}
    context |= _finishes(viewer, shown)
    rooms = await tap_views.list_rooms(db, venue)
    return viewer.show("dialogs/tap.html", service_first=first == "service", rooms=rooms, **context)


@get("/taps/{venue:str}/{tap:str}/kegs", access=OPERATOR)
async def search_kegs(
    db: Db, viewer: CurrentViewer, venue: SlugInPath, tap: SlugInPath, search: TextQuery = None, keg_id: TextQuery = None
) -> Response[str]:
    """Kegs that can be connected and match the typed text, and the chosen one."""
    shown = await _tap(db, venue, tap)
    chosen = await keg_views.get_keg(db, read_uuid("keg_id", keg_id)) if keg_id else None
    choices = await _keg_choices(db, viewer, shown, await _suggested_keg(db, shown), search, chosen)
    return viewer.show("parts/choices.html", choices=choices)


@get("/taps/{venue:str}/{tap:str}/stop", access=OPERATOR)
async def ask_to_stop(db: Db, viewer: CurrentViewer, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """Ask for the reason."""
    shown = await read_shown(db, Noun.TAP, str(tap_path(venue, tap)))
    return viewer.show(
        "dialogs/stop_tap.html", shown=shown, tap=await _tap(db, venue, tap), reasons=viewer.translate_all(STOP_REASONS)
    )


@post("/taps/{venue:str}/{tap:str}/stop", access=OPERATOR, shows=Noun.TAP)
async def stop(viewer: CurrentViewer, actor: CurrentActor, form: Form, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """End a tap's running pour."""
    path = str(tap_path(venue, tap))
    pour_id = await form.only(["pour_id"]).once(taps.stop_tap, actor, path, form.read(StopTap).reason)
    message = N_("The tap was told to stop.") if pour_id else N_("The pour had already ended.")
    return done(viewer.translate(message), changed=[path])


@post("/taps/{venue:str}/{tap:str}/status", access=OPERATOR, shows=Noun.TAP)
async def set_status(viewer: CurrentViewer, actor: CurrentActor, form: Form, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """Lock a tap, set it to cleaning, or return it to service."""
    path, wanted = str(tap_path(venue, tap)), form.read(TapChange)
    status = wanted.status if isinstance(wanted.status, TapStatus) else TapStatus.ACTIVE
    reason = wanted.reason if isinstance(wanted.reason, str) and status is not TapStatus.ACTIVE else None
    await form.only(["status", "status_reason"]).once(taps.change_tap, actor, path, status=status, reason=reason)
    return done(viewer.translate(N_("Done.")), changed=[path])


@post("/taps/{venue:str}/{tap:str}/keg", access=OPERATOR, shows=Noun.TAP)
async def change_keg(
    request: Request[Any, Any, Any],
    viewer: CurrentViewer,
    actor: CurrentActor,
    form: Form,
    venue: SlugInPath,
    tap: SlugInPath,
) -> Response[str]:
    """Connect a keg to a tap; it replaces the connected one, and says what became of that."""
    path, wanted = str(tap_path(venue, tap)), form.read(KegOnTap)
    await form.only(["keg_id"]).once(
        taps.put_keg, actor, path, wanted.keg_id, finish=wanted.finish, reason=wanted.reason, role=operator_of(request).role
    )
    message = viewer.translate(N_("The keg is connected."))
    return done(await _with_yield(viewer, form, wanted.finish, message), changed=[path])


@post("/taps/{venue:str}/{tap:str}/keg-off", access=OPERATOR, shows=Noun.TAP)
async def take_keg_off(
    request: Request[Any, Any, Any],
    viewer: CurrentViewer,
    actor: CurrentActor,
    form: Form,
    venue: SlugInPath,
    tap: SlugInPath,
) -> Response[str]:
    """Disconnect a tap's keg, and say what became of it."""
    path, wanted = str(tap_path(venue, tap)), form.read(KegOffTap)
    await form.only(["keg_id"]).once(
        taps.take_keg_off, actor, path, finish=wanted.finish, reason=wanted.reason, role=operator_of(request).role
    )
    message = viewer.translate(N_("The keg is disconnected."))
    return done(await _with_yield(viewer, form, wanted.finish, message), changed=[path])


async def _with_yield(viewer: Viewer, form: SubmittedForm, finish: KegFinish | None, message: str) -> str:
    """A message, with the yield of the keg that was kicked; while a pour of it is pending that is not known yet."""
    last = form.shown.values.get("keg_id") if form.shown and finish is KegFinish.KICKED else None
    row = await report_keg(form.db, UUID(str(last))) if last else None
    if row is None or row.book_volume_ml != 0:
        return message
    told = viewer.translate(N_("The last keg gave %(percent)s of its volume.")) % {
        "percent": viewer.formats.share(row.yield_percent)
    }
    return f"{message} {told}"


async def cards_of(db: Database, live: Live, viewer: Viewer, found: Sequence[TapView]) -> list[Card]:
    """The taps' cards, with what a serving limit leaves the guests who pour."""
    limit = viewer.venue.serving_limit if viewer.venue else None
    pouring = [tap.pending_visit_id for tap in found if tap.pending_visit_id] if limit else []
    allowances = await allowances_of_visits(db, pouring)
    return [Card(tap, live, limit, allowances) for tap in found]


@post("/taps/{venue:str}/{tap:str}/room", access=ENGINEER, shows=Noun.TAP)
async def change_room(viewer: CurrentViewer, actor: CurrentActor, form: Form, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """Say in which part of the venue a tap is."""
    path, given = str(tap_path(venue, tap)), form.read(RoomForm)
    if changes := form.changed(room=given.room):
        await form.only(["room"]).once(taps.change_tap, actor, path, **changes)
    return done(viewer.translate(N_("Done.")), changed=[path])


def _finishes(viewer: Viewer, tap: TapView) -> dict[str, Any]:
    """What may become of the tap's keg, the likely first, and whether it is low."""
    left_ml, full_ml = tap.keg_book_volume_ml or 0, tap.keg_initial_volume_ml or 0
    guess = likely_finish(left_ml, full_ml, viewer.required_venue.keg_low_percent)
    return {"finishes": sorted(KegFinish, key=lambda finish: finish is not guess), "is_low": guess is KegFinish.KICKED}


async def _suggested_keg(db: Database, tap: TapView) -> KegView | None:
    return await keg_views.suggest_keg(db, tap.beverage_id, tap.venue_id) if tap.beverage_id else None


async def _keg_choices(
    db: Database, viewer: Viewer, tap: TapView, suggested: KegView | None, search: str | None, chosen: KegView | None
) -> Choices:
    """Kegs for a tap, those of its beverage first; without one the oldest is chosen at first, unless it is one of many."""
    kegs = await keg_views.list_free_kegs(db, tap.venue_id, first=tap.beverage_id, search=search or None, page=FIRST_CHOICES)

    def as_choice(keg: KegView) -> Choice:
        tag = viewer.translate(N_("suggested")) if suggested is not None and keg.keg_id == suggested.keg_id else ""
        return Choice(str(keg.keg_id), keg.beverage_name, viewer.formats.volume(keg.book_volume_ml), tag)

    if chosen is None and not tap.beverage_id and not search and kegs.next_cursor is None:
        chosen = next(iter(kegs.items), None)
    return choices_of("keg_id", f"/taps/{tap.venue_id}/{tap.tap_id}/kegs", kegs, as_choice, chosen=chosen)


async def _tap(db: Database, venue: str, tap: str) -> TapView:
    path = str(tap_path(venue, tap))
    return require_found(await tap_views.get_tap(db, path), "tap", path)


def set_up_page(viewer: Viewer) -> Response[Any]:
    """The set-up, for those who may; others have nothing to see."""
    if not viewer.may("engineer"):
        raise NotFound("venue", "-")
    return go_to("/set-up") if viewer.is_part else Response("", status_code=303, headers={"Location": "/set-up"})


HANDLERS = (
    show_taps,
    show_cards,
    show_actions,
    search_kegs,
    ask_to_stop,
    stop,
    set_status,
    change_keg,
    take_keg_off,
    change_room,
)
