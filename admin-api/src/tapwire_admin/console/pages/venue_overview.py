"""All venues at a glance, for operators of several."""

from litestar import Response, get
from litestar.di import NamedDependency

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.pages.taps import Card
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.live import Live
from tapwire_admin.requests.dependencies import Db, PageQuery
from tapwire_core.db.engine import Database
from tapwire_core.db.views.queries import PageRequest
from tapwire_core.db.views.taps import list_pouring
from tapwire_core.db.views.venue_overviews import list_overviews, sum_overviews


@get("/all-venues", access=OPERATOR)
async def show_overview(
    db: Db, viewer: CurrentViewer, shell: ShellContext, live: NamedDependency[Live], page: PageQuery
) -> Response[str]:
    """The venues' sales of today, running pours, open incidents and offline devices."""
    return viewer.show("all_venues.html", shell=shell, **await _overview(db, live, page))


@get("/parts/all-venues", access=OPERATOR)
async def show_fresh_overview(db: Db, viewer: CurrentViewer, live: NamedDependency[Live], page: PageQuery) -> Response[str]:
    """The part of the page that changes."""
    return viewer.show("parts/all_venues.html", **await _overview(db, live, page))


async def _overview(db: Database, live: Live, page: PageRequest) -> dict[str, object]:
    shown = await list_overviews(db, page)
    pouring = await list_pouring(db, [venue.venue_id for venue in shown.items])
    cards = [Card(tap, live, None, {}) for tap in pouring]
    return {"page": shown, "sums": await sum_overviews(db), "cards": cards, "cursor": page.cursor}


HANDLERS = (show_overview, show_fresh_overview)
