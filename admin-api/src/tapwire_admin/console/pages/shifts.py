"""The shift: open, interim report (X), close, final report (Z)."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.console.choices import FIRST_CHOICES
from tapwire_admin.console.error_answers import SLOT, show_in
from tapwire_admin.console.forms import Form
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery
from tapwire_admin.requests.parameters import require_found
from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.views import shifts as views
from tapwire_core.db.views.pours import PourFilter, list_pours
from tapwire_core.db.views.shift_reports import ShiftReport, sum_up_shift
from tapwire_core.db.views.shifts import ShiftView
from tapwire_core.db.views.visits import list_visits
from tapwire_core.domain.closed_sets import VisitStatus
from tapwire_core.domain.shown import Noun
from tapwire_core.services import shifts
from tapwire_core.services.shifts import ShiftInUse
from tapwire_core.services.shown import read_shown


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
    await form.once(shifts.open_shift, actor, form.venue_id)
    return go_to("/shift")


@get("/shift/close", access=SHIFT_LEAD)
async def ask_to_close(db: Db, viewer: CurrentViewer) -> Response[str]:
    """Ask for confirmation."""
    shift = require_found(
        await views.get_open_shift(db, viewer.required_venue.venue_id), "open shift of venue", viewer.required_venue.venue_id
    )
    return viewer.show("dialogs/close_shift.html", shift=shift, shown=await read_shown(db, Noun.SHIFT, shift.shift_id))


@post("/shift/close", access=SHIFT_LEAD, shows=Noun.SHIFT)
async def close_shift(viewer: CurrentViewer, actor: CurrentActor, form: Form) -> Response[str]:
    """Close the shift; refused, with the list, while visits are active or pours pending."""
    venue_id = str(form.required_shown.values.get("venue_id"))
    try:
        shift_id = await form.once(shifts.close_shift, actor, venue_id)
    except ShiftInUse:
        visits = await list_visits(form.db, venue_id=venue_id, status=VisitStatus.ACTIVE, stuck_first=True, page=FIRST_CHOICES)
        pending = PourFilter(venue_id=venue_id, sync_status=SyncStatus.PENDING_SYNC)
        pours = await list_pours(form.db, pending, FIRST_CHOICES)
        return show_in(SLOT, viewer.show("parts/shift_in_use.html", visits=visits, pours=pours))
    return go_to(f"/shift/{shift_id}")


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


HANDLERS = (show_shift, show_sums, open_shift, ask_to_close, close_shift, show_report, make_z)
