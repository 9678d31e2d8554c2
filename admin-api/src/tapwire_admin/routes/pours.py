"""Pours, as they were granted and as they ended."""

from uuid import UUID

from litestar import get

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import Db, FromPath, FromQuery, PageQuery, TextQuery, VenueQuery
from tapwire_admin.requests.parameters import require_found
from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.views import pours as views
from tapwire_core.db.views.pours import PourDetail, PourFilter, PourView
from tapwire_core.db.views.queries import Page


@get("/pours", access=OPERATOR)
async def list_pours(
    db: Db,
    page: PageQuery,
    visit_id: FromQuery[UUID | None] = None,
    guest_id: FromQuery[UUID | None] = None,
    venue_id: VenueQuery = None,
    tap: TextQuery = None,
    sync_status: FromQuery[SyncStatus | None] = None,
) -> Page[PourView]:
    """Pours, the latest first; `tap` is a path `{venue}/taps/{tap}`, or an id."""
    wanted = PourFilter(visit_id=visit_id, guest_id=guest_id, venue_id=venue_id, tap=tap, sync_status=sync_status)
    return await views.list_pours(db, wanted, page)


@get("/pours/{pour_id:uuid}", access=OPERATOR)
async def read_pour(db: Db, pour_id: FromPath[UUID]) -> PourDetail:
    """One pour, with its reports."""
    return require_found(await views.get_pour(db, pour_id), "pour", pour_id)


HANDLERS = (list_pours, read_pour)
