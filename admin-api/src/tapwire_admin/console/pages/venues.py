"""The venue's emergency stop."""

from typing import Final

from litestar import Response, get, post

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.forms import Form
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor
from tapwire_admin.routes.venues import EmergencyStop, wait_for_confirmation
from tapwire_core.services import venues

EMERGENCY_REASONS: Final = (N_("danger at the taps"), N_("beer is flowing out of control"), N_("drill"))


@get("/emergency", access=OPERATOR)
async def ask_for_emergency(viewer: CurrentViewer) -> Response[str]:
    """Ask for confirmation and the reason."""
    return viewer.show("dialogs/emergency.html", reasons=viewer.translate_all(EMERGENCY_REASONS))


@post("/emergency", access=OPERATOR)
async def set_emergency(viewer: CurrentViewer, actor: CurrentActor, form: Form) -> Response[str]:
    """Close every valve of the venue, or release them; then show the taps that have not confirmed."""
    wanted, venue_id = form.read(EmergencyStop), viewer.required_venue.venue_id
    await form.once(venues.stop_venue if wanted.on else venues.release_venue, actor, venue_id, wanted.reason)
    unconfirmed = await wait_for_confirmation(form.db, venue_id)
    if not wanted.on:
        return go_to("/")
    body = viewer.render("parts/emergency_stopped.html", unconfirmed=unconfirmed)
    return done(changed=[venue_id], close=False, body=body)


HANDLERS = (
    ask_for_emergency,
    set_emergency,
)
