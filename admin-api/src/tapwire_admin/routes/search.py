"""One search over people, cards, visits, taps and kegs."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import Db
from tapwire_admin.requests.field_types import NO_NUL
from tapwire_core.db.views.search import MAX_SHOWN, SHOWN, SearchResults, search_everything
from tapwire_core.services.request_limits import MAX_NAME_LENGTH


@get("/search", access=OPERATOR)
async def search(
    db: Db,
    q: Annotated[
        str,
        QueryParameter(
            min_length=1,
            max_length=MAX_NAME_LENGTH,
            pattern=NO_NUL,
            description="names, a telephone number, a card's number or an id",
        ),
    ],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_SHOWN, description="maximum number of items of each kind")] = SHOWN,
) -> SearchResults:
    """People, cards, visits, taps and kegs that match; `more` counts those that are not listed.

    Words match in any order by their beginning, without accents and case; telephone numbers by any of their digits, in any
    spelling; cards by the beginning of their number.
    """
    return await search_everything(db, q, limit)


HANDLERS = (search,)
