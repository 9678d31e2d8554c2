"""The shift: open, interim report (X), close, final report (Z)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD, operator_of
from tapwire_admin.console.choices import FIRST_CHOICES
from tapwire_admin.console.columns import headings
from tapwire_admin.console.error_answers import SLOT, show_in
from tapwire_admin.console.forms import Form
from tapwire_admin.console.labels import DRAWER_MOVES, METHODS
from tapwire_admin.console.render import done, go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.responses.csv_tables import Amount, Cell, answer_spreadsheet
from tapwire_admin.routes.shifts import HEADER, CashBooking, Counting, ShiftOpening, rows_of
from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.views import shifts as views
from tapwire_core.db.views.pours import PourFilter, PourView, list_pours
from tapwire_core.db.views.queries import Page, PageRequest, every_item
from tapwire_core.db.views.shift_cash import CashMovement, DrawerMove, list_cash
from tapwire_core.db.views.shift_reports import ShiftReport, sum_up_shift
from tapwire_core.db.views.shifts import ShiftView
from tapwire_core.db.views.visits import VisitView, list_visits
from tapwire_core.domain.closed_sets import CashKind, ShiftStatus, VisitStatus
from tapwire_core.domain.shown import Noun
from tapwire_core.services import shift_cash, shifts
from tapwire_core.services.shifts import ShiftInUse
from tapwire_core.services.shown import read_shown

REPORT_PARTS: Final = {
    "shift": N_("Shift"),
    "tap": N_("Tap"),
    "beverage": N_("Beverage"),
    "method": N_("Payment method"),
    "operator": N_("Operator"),
    "tax": N_("Tax"),
}
"""Parts of a report for a spreadsheet."""
REPORT_KEYS: Final[Mapping[str, Mapping[Any, str]]] = {
    "shift": {
        "sold": N_("Sold"),
        "till": N_("Guests' money"),
        "cash": N_("Drawer"),
        "online_payments": N_("By telephone"),
    },
    "method": METHODS,
}
"""Words for the rows of a part; those of the others have names."""


@get("/shift", access=OPERATOR)
async def show_shift(db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery) -> Response[str]:
    """The open shift with its sums, and the earlier ones."""
    venue_id = viewer.required_venue.venue_id
    shift = await views.get_open_shift(db, venue_id)
    report = await sum_up_shift(db, shift.shift_id) if shift else None
    earlier = await views.list_shifts(db, venue_id, page)
    return viewer.show("shift.html", shell=shell, shift=shift, report=report, page=earlier)


@get("/parts/shift", access=OPERATOR)
async def show_sums(db: Db, viewer: CurrentViewer) -> Response[str]:
    """The open shift's sums."""
    shift = await views.get_open_shift(db, viewer.required_venue.venue_id)
    report = await sum_up_shift(db, shift.shift_id) if shift else None
    return viewer.show("parts/shift.html", shift=shift, report=report)


@post("/shift/open", access=OPERATOR, shows=Noun.VENUE)
async def open_shift(actor: CurrentActor, form: Form) -> Response[str]:
    """Open the shift."""
    opening = form.read(ShiftOpening, money=("float_minor",))
    await form.once(shifts.open_shift, actor, form.venue_id, opening.float_minor)
    return go_to("/shift")


@get("/shift/close", access=OPERATOR)
async def lead_through_closing(db: Db, viewer: CurrentViewer, shell: ShellContext) -> Response[str]:
    """Close the night: who is still here, the drawer's count, and the close itself, one after the other."""
    venue_id = viewer.required_venue.venue_id
    shift = await views.get_open_shift(db, venue_id)
    if shift is None:
        return viewer.show("close_night.html", shell=shell, shift=None)
    shown = await read_shown(db, Noun.SHIFT, shift.shift_id)
    report = require_found(await sum_up_shift(db, shift.shift_id), "shift", shift.shift_id)
    visits, pours = await _still_here(db, venue_id)
    return viewer.show("close_night.html", shell=shell, shift=shift, shown=shown, report=report, visits=visits, pours=pours)


@post("/shift/close", access=SHIFT_LEAD, shows=Noun.SHIFT)
async def close_shift(viewer: CurrentViewer, actor: CurrentActor, form: Form) -> Response[str]:
    """Close the shift, with its visits where the form says so; refused, with the list, while something is in its way."""
    venue_id = str(form.required_shown.values.get("venue_id"))
    end_visits = form.flag("end_visits")
    try:
        shift_id = await form.once(shifts.close_shift, actor, venue_id, end_visits=end_visits)
    except ShiftInUse:
        visits, pours = await _still_here(form.db, venue_id)
        return show_in(SLOT, viewer.show("parts/shift_in_use.html", visits=None if end_visits else visits, pours=pours))
    return go_to(f"/shift/{shift_id}")


@get("/shift/{shift_id:uuid}/count", access=SHIFT_LEAD)
async def ask_for_count(db: Db, viewer: CurrentViewer, shift_id: FromPath[UUID]) -> Response[str]:
    """The form that corrects the count of a closed shift."""
    return viewer.show("dialogs/count_drawer.html", shown=await read_shown(db, Noun.SHIFT, shift_id))


@post("/shift/{shift_id:uuid}/count", access=OPERATOR, shows=Noun.SHIFT)
async def count_drawer(request: Request[Any, Any, Any], actor: CurrentActor, form: Form, shift_id: FromPath[UUID]) -> Response[str]:
    """Count the drawer; the page that follows shows the difference."""
    given = form.read(Counting, money=("counted_minor",))
    is_open = form.required_shown.values.get("status") == ShiftStatus.OPEN
    role = operator_of(request).role
    await form.once(shift_cash.count_drawer, actor, role, shift_id, given.counted_minor, given.reason)
    return go_to("/shift/close" if is_open else f"/shift/{shift_id}")


@get("/shift/{shift_id:uuid}/cash", access=SHIFT_LEAD)
async def ask_for_cash(db: Db, viewer: CurrentViewer, shift_id: FromPath[UUID]) -> Response[str]:
    """The form of cash that goes in or out."""
    shown = await read_shown(db, Noun.SHIFT, shift_id)
    return viewer.show("dialogs/cash.html", shown=shown, kinds=list(CashKind))


@post("/shift/{shift_id:uuid}/cash", access=SHIFT_LEAD, shows=Noun.SHIFT)
async def book_cash(viewer: CurrentViewer, actor: CurrentActor, form: Form, shift_id: FromPath[UUID]) -> Response[str]:
    """Pay cash in or out, or drop it into the safe."""
    given = form.read(CashBooking, money=("amount_minor",))
    form.require_usual(given.amount_minor)
    await form.once(shift_cash.book_cash, actor, shift_id, given.kind, given.amount_minor, given.reason)
    return done(viewer.translate(N_("Done.")), changed=["shift"])


@get("/shift/{shift_id:uuid}/report.csv", access=OPERATOR)
async def download_report(db: Db, viewer: CurrentViewer, shift_id: FromPath[UUID]) -> Response[str]:
    """A shift's report for a spreadsheet, amounts in the viewer's notation."""
    report: ShiftReport = (await _report(db, shift_id))["report"]
    rows = (_report_line(viewer, row) for row in rows_of(report))
    return answer_spreadsheet(f"shift-{shift_id}.csv", headings(viewer, HEADER), rows, viewer.formats.decimal_mark)


@get("/shift/{shift_id:uuid}/cash.csv", access=OPERATOR)
async def download_cash(db: Db, viewer: CurrentViewer, shift_id: FromPath[UUID]) -> Response[str]:
    """The drawer's movements for a spreadsheet; until it is counted, those that give no sum away."""

    async def read(part: PageRequest) -> Page[CashMovement]:
        return require_found(await list_cash(db, shift_id, part), "shift", shift_id)

    fields = CashMovement.__struct_fields__
    rows = ([_cell(viewer, name, getattr(moved, name)) for name in fields] for moved in await every_item(read))
    return answer_spreadsheet(f"drawer-{shift_id}.csv", headings(viewer, fields), rows, viewer.formats.decimal_mark)


@get("/shift/{shift_id:uuid}", access=OPERATOR)
async def show_report(db: Db, viewer: CurrentViewer, shell: ShellContext, shift_id: FromPath[UUID]) -> Response[str]:
    """A shift's report, to read and print: its Z report, else its sums so far."""
    return viewer.show("shift_report.html", shell=shell, **await _report(db, shift_id))


@post("/shift/{shift_id:uuid}/z", access=SHIFT_LEAD)
async def make_z(db: Db, actor: CurrentActor, form: Form, shift_id: FromPath[UUID]) -> Response[str]:
    """Make a closed shift's final report."""
    await form.once(shifts.make_z_report, actor, require_found(await sum_up_shift(db, shift_id), "shift", shift_id))
    return go_to(f"/shift/{shift_id}")


async def _report(db: Database, shift_id: UUID) -> dict[str, Any]:
    shift: ShiftView = require_found(await views.get_shift(db, shift_id), "shift", shift_id)
    kept = await views.get_z_report(db, shift_id)
    report: ShiftReport = kept or require_found(await sum_up_shift(db, shift_id), "shift", shift_id)
    return {"shift": shift, "report": report, "is_z": kept is not None}


async def _still_here(db: Database, venue_id: str) -> tuple[Page[VisitView], Page[PourView]]:
    """The first active visits, and the first pending pours."""
    visits = await list_visits(db, venue_id=venue_id, status=VisitStatus.ACTIVE, stuck_first=True, page=FIRST_CHOICES)
    pending = PourFilter(venue_id=venue_id, sync_status=SyncStatus.PENDING_SYNC)
    return visits, await list_pours(db, pending, FIRST_CHOICES)


def _report_line(viewer: Viewer, row: tuple[Cell, ...]) -> list[Cell]:
    """A report's row as people write it: what it is about in words, then its sums."""
    part, key, *sums = row
    named: Cell = key
    if part == "tax":
        named = viewer.formats.tax_rate(key if isinstance(key, int) else None)
    elif part in REPORT_KEYS:
        named = viewer.translate(REPORT_KEYS[str(part)].get(str(key), str(key)))
    cells = (_cell(viewer, name, cell) for name, cell in zip(HEADER[2:], sums, strict=True))
    return [viewer.translate(REPORT_PARTS[str(part)]), named, *cells]


def _cell(viewer: Viewer, name: str, cell: object) -> Cell:
    """A value as people write it: amounts of money with their decimals, a drawer's movement in words."""
    if isinstance(cell, DrawerMove):
        return viewer.translate(DRAWER_MOVES[cell])
    if isinstance(cell, int):
        return Amount(viewer.formats.typed_money(cell)) if name.endswith("_minor") else cell
    return viewer.formats.long_moment(cell) if isinstance(cell, datetime) else None if cell is None else str(cell)


HANDLERS = (
    show_shift,
    show_sums,
    open_shift,
    lead_through_closing,
    close_shift,
    ask_for_count,
    count_drawer,
    ask_for_cash,
    book_cash,
    download_report,
    download_cash,
    show_report,
    make_z,
)
