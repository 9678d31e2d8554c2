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
    kept = await tap_lists.get(venue)
    answer = kept.render("json", to_json)
    return cached_answer(request, answer.body, answer.etag, media_type=MediaType.JSON, max_age_s=kept.max_age_s())


HANDLERS = (read_tap_list,)
