"""The choice of the venue, its settings, and its emergency stop."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import Struct

from tapwire_admin.access.auth import ENGINEER, OPERATOR
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.console.choices import FIRST_CHOICES
from tapwire_admin.console.formats import read_grams
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, TextQuery
from tapwire_admin.requests.field_types import DepositMinor, KegLowMinutes, LegalAge, LimitMinor, Name, Percent, Text, VisitHours
from tapwire_admin.routes.venues import EmergencyStop, wait_for_confirmation
from tapwire_core.db.views.venues import list_venues
from tapwire_core.domain.closed_sets import ServingMeasure
from tapwire_core.domain.serving_limits import MAX_LIMIT, EthanolLimit, LimitMl, ServingLimit, VolumeLimit, WindowMinutes
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import Invalid
from tapwire_core.services import venues
from tapwire_core.services.shown import read_shown

EMERGENCY_REASONS: Final = (N_("danger at the taps"), N_("beer is flowing out of control"), N_("drill"))


PLAIN_SETTINGS: Final = (
    "name",
    "time_zone",
    "legal_age",
    "operator_refund_limit_minor",
    "visit_hours",
    "card_deposit_minor",
    "keg_low_percent",
    "keg_low_minutes",
)


class VenueForm(Struct, kw_only=True):
    """A venue's settings as typed. `measure`: what the serving limit counts; empty: no limit."""

    name: Name
    time_zone: Text
    legal_age: LegalAge
    operator_refund_limit_minor: LimitMinor = 0
    visit_hours: VisitHours | None = None
    card_deposit_minor: DepositMinor = 0
    keg_low_percent: Percent
    keg_low_minutes: KegLowMinutes
    max_balance_minor: LimitMinor | None = None
    measure: ServingMeasure | None = None
    limit_ml: LimitMl | None = None
    window_minutes: WindowMinutes | None = None


@get("/venues", access=OPERATOR)
async def ask_for_venue(db: Db, viewer: CurrentViewer) -> Response[str]:
    """The choice among many venues."""
    return viewer.show("dialogs/venues.html", venues=await list_venues(db, FIRST_CHOICES))


@get("/parts/venues", access=OPERATOR)
async def search_venues(db: Db, viewer: CurrentViewer, search: TextQuery = None) -> Response[str]:
    """Venues that match the typed text."""
    return viewer.show("parts/venues.html", venues=await list_venues(db, FIRST_CHOICES, search=search or None))


@get("/venues/{venue_id:str}/change", access=ENGINEER, about=INSTALLATION)
async def ask_for_change(db: Db, viewer: CurrentViewer, venue_id: FromPath[str]) -> Response[str]:
    """The form of a venue's settings."""
    shown = await read_shown(db, Noun.VENUE_SETTINGS, venue_id)
    return viewer.show("dialogs/venue.html", shown=shown, limit=shown.values["serving_limit"], measures=list(ServingMeasure))


@post("/venues/{venue_id:str}/change", access=ENGINEER, shows=Noun.VENUE_SETTINGS)
async def change_venue(viewer: CurrentViewer, actor: CurrentActor, form: Form, venue_id: FromPath[str]) -> Response[str]:
    """Change a venue."""
    given = form.read(VenueForm, money=("operator_refund_limit_minor", "card_deposit_minor", "max_balance_minor"))
    typed: dict[str, Any] = {name: getattr(given, name) for name in PLAIN_SETTINGS}
    flags = {name: form.flag(name) for name in ("minors_allowed", "count_cash", "public_menu")}
    limit = _typed_limit(form, given)
    if changes := form.changed(**typed, **flags, serving_limit=limit):
        await form.only(changes).once(venues.change_venue, actor, venue_id, **changes)
    return done(viewer.translate(N_("Done.")), changed=[venue_id])


def _typed_limit(form: SubmittedForm, given: VenueForm) -> ServingLimit | None:
    match given.measure:
        case ServingMeasure.VOLUME:
            if given.limit_ml is None:
                raise Invalid("limit_ml: enter the limit in millilitres.", field="limit_ml")
            return VolumeLimit(limit_ml=given.limit_ml, window_minutes=given.window_minutes)
        case ServingMeasure.ETHANOL:
            limit_mg = read_grams(form.values.get("limit_g", ""), "limit_g")
            if not 1 <= limit_mg <= MAX_LIMIT:
                raise Invalid("limit_g: enter the limit in grams of alcohol.", field="limit_g")
            return EthanolLimit(limit_mg=limit_mg, window_minutes=given.window_minutes)
        case None:
            return None


@get("/emergency", access=OPERATOR)
async def ask_for_emergency(db: Db, viewer: CurrentViewer) -> Response[str]:
    """Ask for confirmation and the reason."""
    shown = await read_shown(db, Noun.EMERGENCY_STOP, viewer.required_venue.venue_id)
    return viewer.show("dialogs/emergency.html", shown=shown, reasons=viewer.translate_all(EMERGENCY_REASONS))


@post("/emergency", access=OPERATOR, shows=Noun.EMERGENCY_STOP)
async def set_emergency(viewer: CurrentViewer, actor: CurrentActor, form: Form) -> Response[str]:
    """Close every valve of the venue, or release them; then show the taps that have not confirmed."""
    wanted, venue_id = form.read(EmergencyStop), form.venue_id
    if wanted.on:
        form = form.only(())  # a stop is never refused
    await form.once(venues.stop_venue if wanted.on else venues.release_venue, actor, venue_id, wanted.reason)
    unconfirmed = await wait_for_confirmation(form.db, venue_id)
    if not wanted.on:
        return go_to("/")
    body = viewer.render("parts/emergency_stopped.html", unconfirmed=unconfirmed)
    return done(changed=[venue_id], close=False, body=body)


HANDLERS = (
    ask_for_venue,
    search_venues,
    ask_for_change,
    change_venue,
    ask_for_emergency,
    set_emergency,
)
