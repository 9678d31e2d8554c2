"""The frame of every page: state of broker, core and shift, and the number of open incidents."""

from dataclasses import dataclass, replace
from typing import Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Response

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.live import Live
from tapwire_core.db.engine import Database
from tapwire_core.db.views.incidents import count_unresolved


@dataclass(frozen=True, slots=True)
class Shell:
    """Content of the frame; `link` is the state of the broker's connection (`Live.link`)."""

    link: dict[str, Any]
    shift_open: bool
    emergency_stop: bool
    incidents: int


ShellContext = NamedDependency[Shell]


async def provide_shell(db: NamedDependency[Database], viewer: NamedDependency[Viewer], live: NamedDependency[Live]) -> Shell:
    """Read the frame's content."""
    here = viewer.venue
    if here is None:
        return Shell(live.link, shift_open=False, emergency_stop=False, incidents=0)
    incidents = await count_unresolved(db, here.venue_id)
    return Shell(live.link, here.open_shift_id is not None, here.emergency_stop, incidents)


@get("/parts/status", access=OPERATOR)
async def show_status(viewer: CurrentViewer, shell: ShellContext) -> Response[str]:
    """The status bar."""
    return viewer.show("parts/status.html", shell=shell)


@get("/parts/nav", access=OPERATOR)
async def show_nav(viewer: CurrentViewer, shell: ShellContext, at: FromQuery[str] = "/") -> Response[str]:
    """The main menu on the page at this path."""
    return replace(viewer, path=at).show("parts/nav.html", shell=shell)


@get("/parts/emergency-banner", access=OPERATOR)
async def show_emergency_banner(viewer: CurrentViewer) -> Response[str]:
    """The banner of the venue's emergency stop, on every page."""
    return viewer.show("parts/emergency_banner.html")


@get("/parts/emergency-button", access=OPERATOR)
async def show_emergency_button(viewer: CurrentViewer) -> Response[str]:
    """The button that stops all taps, or ends the stop."""
    return viewer.show("parts/emergency_button.html")


HANDLERS = (show_status, show_nav, show_emergency_banner, show_emergency_button)
