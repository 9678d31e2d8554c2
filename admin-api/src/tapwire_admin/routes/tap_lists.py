"""The tap list, for everybody: without a login, for the venues that show it."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from tapwire_admin.access.auth import EVERYBODY
from tapwire_admin.requests.dependencies import SlugInPath
from tapwire_admin.responses.cached import cached_answer
from tapwire_admin.tap_lists import TapLists, to_json
from tapwire_core.db.views.tap_lists import TapList


@get("/public/{venue:str}/tap-list", access=EVERYBODY, cacheable=True)
async def read_tap_list(
    request: Request[Any, Any, Any], tap_lists: NamedDependency[TapLists], venue: SlugInPath
) -> Response[TapList]:
    """What a venue has on tap now, with its prices; for venues with `public_menu`. Answers 304 to its own ETag."""
    return await _answer(request, tap_lists, venue)


@get("/public/g/tap-list", access=EVERYBODY, cacheable=True, include_in_schema=False)
async def read_tap_list_of_g(request: Request[Any, Any, Any], tap_lists: NamedDependency[TapLists]) -> Response[TapList]:
    """The list of a venue that is called `g`, whose path would be a guest's page otherwise."""
    return await _answer(request, tap_lists, "g")


async def _answer(request: Request[Any, Any, Any], tap_lists: TapLists, venue: str) -> Response[TapList]:
    kept = await tap_lists.get(venue)
    answer = kept.render("json", to_json)
    return cached_answer(request, answer.body, answer.etag, media_type=MediaType.JSON, max_age_s=kept.max_age_s())


HANDLERS = (read_tap_list, read_tap_list_of_g)
