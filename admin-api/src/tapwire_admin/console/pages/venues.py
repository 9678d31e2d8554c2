"""The choice of the venue, and its emergency stop."""

from typing import Final

from litestar import Response, get, post

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.choices import FIRST_CHOICES
from tapwire_admin.console.forms import Form
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, TextQuery
from tapwire_admin.routes.venues import EmergencyStop, wait_for_confirmation
from tapwire_core.db.views.venues import list_venues
from tapwire_core.domain.shown import Noun
from tapwire_core.services import venues
from tapwire_core.services.shown import read_shown

EMERGENCY_REASONS: Final = (N_("danger at the taps"), N_("beer is flowing out of control"), N_("drill"))


@get("/venues", access=OPERATOR)
async def ask_for_venue(db: Db, viewer: CurrentViewer) -> Response[str]:
    """The choice among many venues."""
    return viewer.show("dialogs/venues.html", venues=await list_venues(db, FIRST_CHOICES))


@get("/parts/venues", access=OPERATOR)
async def search_venues(db: Db, viewer: CurrentViewer, search: TextQuery = None) -> Response[str]:
    """Venues that match the typed text."""
    return viewer.show("parts/venues.html", venues=await list_venues(db, FIRST_CHOICES, search=search or None))


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
    ask_for_emergency,
    set_emergency,
)
