"""Cleanings of taps."""

from typing import Any, Final

from litestar import Request, Response, get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, PageQuery, RunOnce, SlugInPath
from tapwire_admin.requests.field_types import HygieneNote
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.responses.csv_tables import CSV, answer_csv, cell_of, wants_csv
from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.views import cleanings as views
from tapwire_core.db.views import taps as tap_views
from tapwire_core.db.views.cleanings import CleaningView
from tapwire_core.db.views.queries import Page, every_item
from tapwire_core.domain.closed_sets import CleaningKind
from tapwire_core.services import cleanings

FIELDS: Final = CleaningView.__struct_fields__
EXAMPLE: Final = (
    "cleaning_id,tap,kind,note,volume_ml,event_id,cleaned_by,cleaned_at\r\n"
    "7,bar/taps/left,caustic,2 % for 15 min,,,anna,2026-05-01T09:15:00+00:00\r\n"
)


class NewCleaning(Struct, kw_only=True, forbid_unknown_fields=True):
    """A cleaning that was done just now; `note` names the agent, its strength, how long."""

    kind: CleaningKind
    note: HygieneNote | None = None


@get(
    "/taps/{venue:str}/{tap:str}/cleanings",
    access=OPERATOR,
    answers={200: (Page[CleaningView], "the tap's cleanings")},
    as_text={CSV: EXAMPLE},
)
async def list_cleanings(
    request: Request[Any, Any, Any], db: Db, venue: SlugInPath, tap: SlugInPath, page: PageQuery
) -> Response[Any]:
    """A tap's cleanings, the latest first; as CSV all of them."""
    path = await _path(db, venue, tap)
    if not wants_csv(request):
        return Response(await views.list_cleanings(db, path, page))
    items = await every_item(lambda part: views.list_cleanings(db, path, part))
    return answer_csv(FIELDS, ([cell_of(getattr(item, field)) for field in FIELDS] for item in items))


@post("/taps/{venue:str}/{tap:str}/cleanings", access=OPERATOR)
async def record_cleaning(
    db: Db, actor: CurrentActor, once: RunOnce, venue: SlugInPath, tap: SlugInPath, data: JSONBody[NewCleaning]
) -> CleaningView:
    """Record a cleaning. One that the tap measures, of 100 ml and more, is recorded by itself."""
    cleaning_id = await once(cleanings.record_cleaning, actor, str(tap_path(venue, tap)), data.kind, data.note)
    return require_found(await views.get_cleaning(db, cleaning_id), "cleaning", cleaning_id)


async def _path(db: Database, venue: str, tap: str) -> str:
    path = str(tap_path(venue, tap))
    require_found(await tap_views.get_tap(db, path), "tap", path)
    return path


HANDLERS = (list_cleanings, record_cleaning)
