"""Shifts and their reports."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromPath, JSONBody, OwnVenue, RunOnce, VenueQuery
from tapwire_admin.requests.field_types import Slug
from tapwire_admin.requests.parameters import require_found, require_venue_id
from tapwire_admin.responses.csv_tables import CSV, answer_csv, wants_csv
from tapwire_core.db.engine import Database
from tapwire_core.db.views import shifts as views
from tapwire_core.db.views.shift_reports import ShiftReport, Till, Totals, sum_up_shift
from tapwire_core.db.views.shifts import ShiftView
from tapwire_core.domain.tax import TaxRow
from tapwire_core.errors import NotFound
from tapwire_core.services import shifts
from tapwire_core.services.money import ShiftClosed
from tapwire_core.services.venues import VenueRequired

TAX: Final = ("gross_minor", "net_minor", "tax_minor")
HEADER: Final = ("part", "key", *Totals.__struct_fields__, *Till.__struct_fields__, *TAX, "currency")
"""The columns of a shift's report for a spreadsheet."""
EXAMPLE: Final = "part,key,pours,sold_ml,…\r\ntap,bar/taps/left,12,4800,…\r\n"
REPORT: Final = {200: (ShiftReport, "the report")}


class OfVenue(Struct, kw_only=True, forbid_unknown_fields=True):
    """The venue; optional if there is only one."""

    venue_id: Slug | None = None


@post("/shifts/open", access=OPERATOR, refuses=(shifts.ShiftAlreadyOpen, NotFound, VenueRequired))
async def open_shift(
    db: Db, actor: CurrentActor, once: RunOnce, own_venue: OwnVenue, data: JSONBody[OfVenue | None] = None
) -> ShiftView:
    """Open a venue's shift."""
    return await _view(db, await once(shifts.open_shift, actor, _named(data) or own_venue))


@post(
    "/shifts/close",
    access=SHIFT_LEAD,
    status_code=200,
    refuses=(ShiftClosed, shifts.ShiftInUse, NotFound, VenueRequired),
)
async def close_shift(
    db: Db, actor: CurrentActor, once: RunOnce, own_venue: OwnVenue, data: JSONBody[OfVenue | None] = None
) -> ShiftView:
    """Close a venue's shift; refused, with the list, while visits are active or pours pending."""
    return await _view(db, await once(shifts.close_shift, actor, _named(data) or own_venue))


@get("/shifts/current", access=OPERATOR, refuses=(NotFound, VenueRequired))
async def read_current_shift(db: Db, venue_id: VenueQuery = None) -> ShiftView:
    """The open shift; 404 when none is open."""
    venue = await require_venue_id(db, venue_id)
    return require_found(await views.get_open_shift(db, venue), "open shift of venue", venue)


@get("/shifts/{shift_id:uuid}/reports/x", access=OPERATOR, answers=REPORT, as_text={CSV: EXAMPLE})
async def read_x_report(request: Request[Any, Any, Any], db: Db, shift_id: FromPath[UUID]) -> Response[Any]:
    """The shift's sums so far."""
    return _answer(request, require_found(await sum_up_shift(db, shift_id), "shift", shift_id))


@post("/shifts/{shift_id:uuid}/reports/x", access=OPERATOR)
async def make_x_report(db: Db, once: RunOnce, shift_id: FromPath[UUID]) -> ShiftReport:
    """The shift's sums so far; stored only to answer a repeat."""
    return await once(shifts.make_x_report, require_found(await sum_up_shift(db, shift_id), "shift", shift_id))


@get("/shifts/{shift_id:uuid}/reports/z", access=OPERATOR, answers=REPORT, as_text={CSV: EXAMPLE})
async def read_z_report(request: Request[Any, Any, Any], db: Db, shift_id: FromPath[UUID]) -> Response[Any]:
    """The closed shift's Z report; 404 until it is made."""
    return _answer(request, require_found(await views.get_z_report(db, shift_id), "Z report of shift", shift_id))


@post("/shifts/{shift_id:uuid}/reports/z", access=SHIFT_LEAD, refuses=(shifts.ShiftOpen, shifts.ZReportMade))
async def make_z_report(db: Db, actor: CurrentActor, once: RunOnce, shift_id: FromPath[UUID]) -> ShiftReport:
    """Make a closed shift's final report, once."""
    return await once(shifts.make_z_report, actor, require_found(await sum_up_shift(db, shift_id), "shift", shift_id))


def _named(data: OfVenue | None) -> str | None:
    return data.venue_id if data else None


def _answer(request: Request[Any, Any, Any], report: ShiftReport) -> Response[Any]:
    return answer_csv(HEADER, _rows(report)) if wants_csv(request) else Response(report)


def _rows(report: ShiftReport) -> Iterator[tuple[str | int | None, ...]]:
    """One row for each part of the shift, and each rate of tax; columns that a part lacks are empty."""
    parts: dict[str, dict[str, Totals | Till]] = {
        "shift": {"sold": report.totals, "till": report.till},
        "tap": {**report.by_tap},
        "beverage": {**report.by_beverage},
        "method": {**report.by_method},
        "operator": {**report.by_operator},
    }
    for part, sums in parts.items():
        for key, counted in sums.items():
            yield (part, key, *_columns(counted), report.currency)
    for row in report.tax:
        yield ("tax", row.tax_rate_bp, *_columns(row), report.currency)


def _columns(counted: Totals | Till | TaxRow) -> Iterator[int | None]:
    return (getattr(counted, field, None) for field in HEADER[2:-1])


async def _view(db: Database, shift_id: UUID) -> ShiftView:
    return require_found(await views.get_shift(db, shift_id), "shift", shift_id)


HANDLERS = (open_shift, close_shift, read_current_shift, read_x_report, make_x_report, read_z_report, make_z_report)
