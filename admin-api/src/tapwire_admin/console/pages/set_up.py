"""Set-up of a new installation, step by step to a working tap."""

import functools
from dataclasses import dataclass
from typing import Final
from zoneinfo import available_timezones

from litestar import Response, get, post

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.console.forms import Form
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import VENUE_COOKIE, CurrentViewer, Viewer, preference_cookie
from tapwire_admin.requests.dependencies import CurrentActor, Db
from tapwire_admin.routes.taps import NewTap
from tapwire_admin.routes.venues import NewVenue
from tapwire_core.db.engine import Database
from tapwire_core.db.views.venue_set_up import read_set_up
from tapwire_core.domain.shown import Noun
from tapwire_core.services import taps, venues

LIKELY_ZONE: Final = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the set-up."""

    name: str
    done: bool


@get("/set-up", access=ENGINEER)
async def show_set_up(db: Db, viewer: CurrentViewer, shell: ShellContext) -> Response[str]:
    """Steps done, and the next one."""
    steps = await _steps(db, viewer, shell_open=shell.shift_open)
    following = next((step.name for step in steps if not step.done), "")
    return viewer.show("set_up.html", shell=shell, steps=steps, following=following, zones=_zones(), likely_zone=LIKELY_ZONE)


@post("/set-up/venue", access=ENGINEER, about=INSTALLATION)
async def create_venue(actor: CurrentActor, form: Form) -> Response[str]:
    """Add a venue, and go on with it."""
    new = form.read(NewVenue)
    await form.once(
        venues.create_venue, actor, venue_id=new.venue_id, name=new.name, time_zone=new.time_zone, legal_age=new.legal_age
    )
    answer = go_to("/set-up")
    answer.cookies.append(preference_cookie(VENUE_COOKIE, new.venue_id))
    return answer


@post("/set-up/tap", access=ENGINEER, shows=Noun.VENUE)
async def create_tap(actor: CurrentActor, form: Form) -> Response[str]:
    """Add a tap."""
    new = form.read(NewTap, venue_id=form.venue_id)
    await form.once(
        taps.create_tap,
        actor,
        venue_id=new.venue_id,
        tap_id=new.tap_id,
        name=new.name,
        pulses_per_liter=new.pulses_per_liter,
        max_pour_ml=new.max_pour_ml,
    )
    return go_to("/set-up")


async def _steps(db: Database, viewer: Viewer, *, shell_open: bool) -> list[Step]:
    here = viewer.venue.venue_id if viewer.venue else None
    there = await read_set_up(db, here)
    return [
        Step("user", True),
        Step("venue", here is not None),
        Step("tap", there.tap),
        Step("beverage", there.beverage),
        Step("keg", there.keg),
        Step("keg_on", there.keg_on),
        Step("device", there.device),
        Step("shift", shell_open),
    ]


@functools.cache
def _zones() -> list[str]:
    """IANA time zones of places."""
    return sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/")))


HANDLERS = (show_set_up, create_venue, create_tap)
