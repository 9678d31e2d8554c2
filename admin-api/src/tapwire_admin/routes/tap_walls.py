"""The tap wall: how a user sees a venue's taps."""

from typing import Annotated, Any, Final

from litestar import Request, get, put
from msgspec import Meta, Struct

from tapwire_admin.access.auth import OPERATOR, operator_of
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, SlugInPath
from tapwire_admin.requests.field_types import Slug
from tapwire_admin.requests.parameters import require_found
from tapwire_contracts.topics import SLUG_PATTERN
from tapwire_core.db.views.tap_walls import TapWallView, get_tap_wall
from tapwire_core.db.views.venues import get_venue
from tapwire_core.domain.closed_sets import WallSort
from tapwire_core.services import tap_walls

MAX_TAPS: Final = 1_000
"""Taps of an order."""
TapOrder = Annotated[
    list[Slug],
    Meta(
        max_length=MAX_TAPS,
        extra_json_schema={"extra": {"items": {"type": "string", "pattern": SLUG_PATTERN}, "uniqueItems": True}},
    ),
]


class TapWallChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """How one sees a venue's taps. `tap_ids`: one's own order; null keeps the known one."""

    sort_by: WallSort = WallSort.NUMBER
    tap_ids: TapOrder | None = None
    by_room: bool = False
    needs_something: bool = False


@get("/venues/{venue:str}/tap-wall", access=OPERATOR)
async def read_tap_wall(request: Request[Any, Any, Any], db: Db, venue: SlugInPath) -> TapWallView:
    """How the logged-in user sees a venue's taps."""
    require_found(await get_venue(db, venue), "venue", venue)
    return await get_tap_wall(db, operator_of(request).username, venue)


@put("/venues/{venue:str}/tap-wall", access=OPERATOR)
async def set_tap_wall(db: Db, actor: CurrentActor, venue: SlugInPath, data: JSONBody[TapWallChange]) -> TapWallView:
    """Remember how the logged-in user sees a venue's taps."""
    await tap_walls.set_tap_wall(
        db,
        actor,
        venue,
        sort_by=data.sort_by,
        tap_ids=data.tap_ids,
        by_room=data.by_room,
        needs_something=data.needs_something,
    )
    return await get_tap_wall(db, actor.name, venue)


HANDLERS = (read_tap_wall, set_tap_wall)
