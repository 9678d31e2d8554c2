"""The search box of every page: people, cards, visits, taps and kegs."""

from litestar import Response, get
from litestar.response import Redirect

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import Db, FromQuery, PageQuery, TextQuery
from tapwire_core.db.engine import Database
from tapwire_core.db.views.cards import get_card
from tapwire_core.db.views.search import MAX_SHOWN, SHOWN, SearchKind, list_found, search_everything
from tapwire_core.services.cards import read_card_uid


@get("/search", access=OPERATOR)
async def show_search(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    page: PageQuery,
    q: TextQuery = None,
    of: FromQuery[SearchKind | None] = None,
) -> Response[str]:
    """The page of results, for a search that was sent: the first of each kind, or all `of` one kind."""
    query = (q or "").strip()
    if of is None or not query:
        return viewer.show("search.html", shell=shell, of=None, **await _found(db, q, MAX_SHOWN))
    return viewer.show("search.html", shell=shell, q=query, of=of, page=await list_found(db, of, query, page))


@get("/parts/search", access=OPERATOR)
async def show_results(db: Db, viewer: CurrentViewer, q: TextQuery = None) -> Response[str]:
    """The results below the box, while somebody types."""
    return viewer.show("parts/search.html", **await _found(db, q, SHOWN))


@get("/search/card", access=OPERATOR)
async def open_card(db: Db, card_uid: TextQuery = None) -> Redirect:
    """Go to the guest of a card that was laid on a reader, or to the card if it has none."""
    uid = read_card_uid(card_uid or "")
    card = await get_card(db, uid)
    return Redirect(f"/guests/{card.guest_id}" if card is not None and card.guest_id is not None else f"/cards?card_uid={uid}")


async def _found(db: Database, q: str | None, limit: int) -> dict[str, object]:
    query = (q or "").strip()
    return {"q": query, "found": await search_everything(db, query, limit) if query else None}


HANDLERS = (show_search, show_results, open_card)
