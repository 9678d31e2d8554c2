"""Shifts and their reports."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD, operator_of
from tapwire_admin.requests.dependencies import (
    CurrentActor,
    Db,
    FromPath,
    JSONBody,
    OwnVenue,
    PageQuery,
    RunOnce,
    VenueQuery,
)
from tapwire_admin.requests.field_types import AmountMinor, CashMinor, Reason, Slug
from tapwire_admin.requests.parameters import require_found, require_venue_id
from tapwire_admin.responses.csv_tables import CSV, Cell, answer_csv, cell_of, wants_csv
from tapwire_core.db.engine import Database
from tapwire_core.db.views import shifts as views
from tapwire_core.db.views.queries import Page, PageRequest, every_item
from tapwire_core.db.views.shift_cash import CashMovement, ShiftCash, list_cash
from tapwire_core.db.views.shift_reports import OnlinePayments, ShiftReport, Till, Totals, sum_up_shift
from tapwire_core.db.views.shifts import ShiftView
from tapwire_core.domain.closed_sets import CashKind
from tapwire_core.domain.tax import TaxRow
from tapwire_core.errors import NotFound, ReasonRequired, RoleRequired
from tapwire_core.services import shift_cash, shifts
from tapwire_core.services.money import ShiftClosed
from tapwire_core.services.shift_cash import CashMoved, CashNotCounted, CountRequired, DrawerCount, DrawerShort, ZReportMade
from tapwire_core.services.venues import VenueRequired

TAX: Final = ("gross_minor", "net_minor", "tax_minor")
SUMS: Final = (*Totals.__struct_fields__, *Till.__struct_fields__, *TAX)
HEADER: Final = (
    *("part", "key", *SUMS, "currency"),
    *(f"cash_{field}" for field in ShiftCash.__struct_fields__),
    *("liability_minor", "deposits_minor"),
)
"""The columns of a shift's report for a spreadsheet."""
CASH_EXAMPLE: Final = (
    "movement_id,kind,amount_minor,currency,guest_id,reason,actor,created_at\r\n"
    "41,float,10000,EUR,,,ann,2026-07-04T15:00:00+00:00\r\n"
)
EXAMPLE: Final = "part,key,pours,sold_ml,…\r\ntap,bar/taps/left,12,4800,…\r\n"
REPORT: Final = {200: (ShiftReport, "the report")}


class ShiftOpening(Struct, kw_only=True, forbid_unknown_fields=True):
    """A shift to open; the venue is optional if there is only one. `float_minor`: cash from the safe for the drawer."""

    venue_id: Slug | None = None
    float_minor: CashMinor | None = None


class ShiftClosing(Struct, kw_only=True, forbid_unknown_fields=True):
    """A shift to close; the venue is optional if there is only one.

    `end_visits` closes its visits too; balances are kept, cards stay bound. `counted_minor`: what the drawer was counted to have.
    """

    venue_id: Slug | None = None
    counted_minor: CashMinor | None = None
    end_visits: bool = False


class CashBooking(Struct, kw_only=True, forbid_unknown_fields=True):
    """Cash that goes into a shift's drawer, out of it, or from it into the safe."""

    kind: CashKind
    amount_minor: AmountMinor
    reason: Reason


class Counting(Struct, kw_only=True, forbid_unknown_fields=True):
    """A count of a shift's drawer; `reason` is required once the shift is closed."""

    counted_minor: CashMinor
    reason: Reason | None = None


@post("/shifts/open", access=OPERATOR, refuses=(shifts.ShiftAlreadyOpen, CashNotCounted, NotFound, VenueRequired))
async def open_shift(
    db: Db, actor: CurrentActor, once: RunOnce, own_venue: OwnVenue, data: JSONBody[ShiftOpening | None] = None
) -> ShiftView:
    """Open a venue's shift."""
    opening = data or ShiftOpening()
    return await _view(db, await once(shifts.open_shift, actor, opening.venue_id or own_venue, opening.float_minor))


@post(
    "/shifts/close",
    access=SHIFT_LEAD,
    status_code=200,
    refuses=(ShiftClosed, shifts.ShiftInUse, CountRequired, CashNotCounted, NotFound, VenueRequired),
)
async def close_shift(
    db: Db, actor: CurrentActor, once: RunOnce, own_venue: OwnVenue, data: JSONBody[ShiftClosing | None] = None
) -> ShiftView:
    """Close a venue's shift; refused, with the list, while visits are active or pours pending.

    With `end_visits` it closes the visits too, and is refused as a whole while pours are pending. A shift that counts its cash
    needs a count: `counted_minor`, or one since which no cash has moved.
    """
    closing = data or ShiftClosing()
    shift_id = await once(
        shifts.close_shift,
        actor,
        closing.venue_id or own_venue,
        counted_minor=closing.counted_minor,
        end_visits=closing.end_visits,
    )
    return await _view(db, shift_id)


@get("/shifts/current", access=OPERATOR, refuses=(NotFound, VenueRequired))
async def read_current_shift(db: Db, venue_id: VenueQuery = None) -> ShiftView:
    """The open shift; 404 when none is open."""
    venue = await require_venue_id(db, venue_id)
    return require_found(await views.get_open_shift(db, venue), "open shift of venue", venue)


@get(
    "/shifts/{shift_id:uuid}/cash",
    access=OPERATOR,
    answers={200: (Page[CashMovement], "the drawer's movements")},
    as_text={CSV: CASH_EXAMPLE},
)
async def read_cash(request: Request[Any, Any, Any], db: Db, shift_id: FromPath[UUID], page: PageQuery) -> Response[Any]:
    """The movements of a shift's drawer, the oldest first; as CSV all of them.

    Until it is counted, floats, pay-ins, pay-outs and drops alone.
    """
    if not wants_csv(request):
        return Response(require_found(await list_cash(db, shift_id, page), "shift", shift_id))

    async def read(part: PageRequest) -> Page[CashMovement]:
        return require_found(await list_cash(db, shift_id, part), "shift", shift_id)

    fields = CashMovement.__struct_fields__
    return answer_csv(fields, ([cell_of(getattr(moved, field)) for field in fields] for moved in await every_item(read)))


@post(
    "/shifts/{shift_id:uuid}/cash",
    access=SHIFT_LEAD,
    key_required=True,
    refuses=(ShiftClosed, DrawerShort, CashNotCounted),
)
async def book_cash(actor: CurrentActor, once: RunOnce, shift_id: FromPath[UUID], data: JSONBody[CashBooking]) -> CashMoved:
    """Pay cash into an open shift's drawer or out of it, or drop some of it into the safe."""
    return await once(shift_cash.book_cash, actor, shift_id, data.kind, data.amount_minor, data.reason)


@post(
    "/shifts/{shift_id:uuid}/count",
    access=OPERATOR,
    refuses=(ZReportMade, CashNotCounted, ReasonRequired, RoleRequired),
)
async def count_drawer(
    request: Request[Any, Any, Any], actor: CurrentActor, once: RunOnce, shift_id: FromPath[UUID], data: JSONBody[Counting]
) -> DrawerCount:
    """Count a shift's drawer; from its closing until the Z report a shift lead corrects the count, with a reason."""
    return await once(shift_cash.count_drawer, actor, operator_of(request).role, shift_id, data.counted_minor, data.reason)


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


@post("/shifts/{shift_id:uuid}/reports/z", access=SHIFT_LEAD, refuses=(shifts.ShiftOpen, ZReportMade))
async def make_z_report(db: Db, actor: CurrentActor, once: RunOnce, shift_id: FromPath[UUID]) -> ShiftReport:
    """Make a closed shift's final report, once."""
    return await once(shifts.make_z_report, actor, require_found(await sum_up_shift(db, shift_id), "shift", shift_id))


def _answer(request: Request[Any, Any, Any], report: ShiftReport) -> Response[Any]:
    return answer_csv(HEADER, rows_of(report)) if wants_csv(request) else Response(report)


def rows_of(report: ShiftReport) -> Iterator[tuple[Cell, ...]]:
    """One row for each part of the shift, and each rate of tax.

    Columns that a part lacks, or that stay hidden until the drawer is counted, are empty.
    """
    parts: dict[str, dict[str, Totals | Till]] = {
        "shift": {"sold": report.totals, "till": report.till or Till()},
        "tap": {**report.by_tap},
        "beverage": {**report.by_beverage},
        "method": {**(report.by_method or {})},
        "operator": {**(report.by_operator or {})},
    }
    nothing = (None,) * (len(ShiftCash.__struct_fields__) + 2)
    for part, sums in parts.items():
        for key, counted in sums.items():
            is_hidden = key == "till" and report.till is None
            values = (None for _ in SUMS) if is_hidden else _columns(counted)
            yield (part, key, *values, report.currency, *nothing)
    if report.online_payments is not None:
        yield ("shift", "online_payments", *_columns(report.online_payments), report.currency, *nothing)
    for row in report.tax:
        yield ("tax", row.tax_rate_bp, *_columns(row), report.currency, *nothing)
    if report.cash is not None:
        cash = (getattr(report.cash, field) for field in ShiftCash.__struct_fields__)
        yield ("shift", "cash", *(None for _ in SUMS), report.currency, *cash, report.liability_minor, report.deposits_minor)


def _columns(counted: Totals | Till | TaxRow | OnlinePayments) -> Iterator[int | None]:
    return (getattr(counted, field, None) for field in SUMS)


async def _view(db: Database, shift_id: UUID) -> ShiftView:
    return require_found(await views.get_shift(db, shift_id), "shift", shift_id)


HANDLERS = (
    open_shift,
    close_shift,
    read_current_shift,
    read_cash,
    book_cash,
    count_drawer,
    read_x_report,
    make_x_report,
    read_z_report,
    make_z_report,
)
