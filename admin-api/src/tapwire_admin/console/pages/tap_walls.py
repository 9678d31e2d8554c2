"""The tap wall: all taps of a venue in a compact view, in the order and groups that its user wants; live like the taps' cards."""

from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.forms import Form
from tapwire_admin.console.pages.taps import Card, cards_of, set_up_page
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.live import Live
from tapwire_admin.requests.dependencies import CurrentActor, Db
from tapwire_core.db.views import taps as tap_views
from tapwire_core.db.views.queries import MAX_LIMIT, every_item
from tapwire_core.db.views.tap_walls import get_tap_wall
from tapwire_core.domain.closed_sets import WallSort
from tapwire_core.domain.shown import Noun
from tapwire_core.services import tap_walls

SORTS: Final = list(WallSort)


class WallForm(Struct, kw_only=True):
    """The wall's settings as its form sends them. `tap_ids`: after a move, all taps in their order, separated by commas."""

    sort_by: WallSort = WallSort.NUMBER
    tap_ids: str | None = None


@get("/wall", access=OPERATOR)
async def show_wall(db: Db, viewer: CurrentViewer, shell: ShellContext, live: NamedDependency[Live]) -> Response[Any]:
    """The venue's taps as the user wants to see them."""
    if viewer.venue is None or viewer.operator is None:
        return set_up_page(viewer)
    venue_id = viewer.venue.venue_id
    wall = await get_tap_wall(db, viewer.operator.username, venue_id)
    found = await every_item(lambda page: tap_views.list_taps(db, venue_id, page))
    cards = {card.tap.tap_id: card for card in await cards_of(db, live, viewer, found)}
    in_order = [cards[tap_id] for tap_id in wall.tap_ids if tap_id in cards]
    rooms = _by_room(in_order) if wall.by_room else [("", in_order)]
    return viewer.show("tap_wall.html", shell=shell, in_place=False, wall=wall, rooms=rooms, sorts=SORTS)


@get("/parts/wall", access=OPERATOR)
async def show_wall_taps(
    db: Db, viewer: CurrentViewer, live: NamedDependency[Live], tap: Annotated[list[str], QueryParameter(max_items=MAX_LIMIT)]
) -> Response[str]:
    """Some taps anew, each replacing the page's."""
    cards = await cards_of(db, live, viewer, await tap_views.find_taps(db, tap))
    return viewer.show("parts/wall_taps.html", in_place=True, cards=cards)


@post("/wall", access=OPERATOR, shows=Noun.VENUE)
async def change_wall(actor: CurrentActor, form: Form) -> Response[str]:
    """Remember how the user sees the venue's taps; after a move the page has the new order already."""
    given = form.read(WallForm)
    await tap_walls.set_tap_wall(
        form.db,
        actor,
        form.venue_id,
        sort_by=given.sort_by,
        tap_ids=given.tap_ids.split(",") if given.tap_ids else None,
        by_room=form.flag("by_room"),
        needs_something=form.flag("needs_something"),
    )
    return done() if given.tap_ids else go_to("/wall")


def _by_room(cards: list[Card]) -> list[tuple[str, list[Card]]]:
    """The cards of each room, rooms by name; taps without one at the end."""
    rooms: dict[str, list[Card]] = {}
    for card in cards:
        rooms.setdefault(card.tap.room or "", []).append(card)
    return sorted(rooms.items(), key=lambda room: (not room[0], room[0].casefold()))


HANDLERS = (show_wall, show_wall_taps, change_wall)
