"""Shifts: opening, closing, X and Z reports."""

from typing import Final
from uuid import UUID, uuid4

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Shift
from tapwire_core.db.views.shift_reports import ShiftReport
from tapwire_core.db.writes import shifts as writes
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import ShiftStatus
from tapwire_core.errors import Refused
from tapwire_core.services.money import ShiftClosed
from tapwire_core.services.venues import resolve_venue

MAX_LISTED: Final = 100
"""Largest number of visits, and of pours, listed when closing is refused."""


class ShiftAlreadyOpen(Refused):
    """The venue has an open shift."""

    code = "shift_already_open"


class ShiftOpen(Refused):
    """The shift is open; a Z report needs a closed one."""

    code = "shift_open"


class ZReportMade(Refused):
    """The shift's Z report was already made."""

    code = "z_report_made"


class ShiftInUse(Refused):
    """Visits are active or pours pending."""

    code = "shift_in_use"


@use_case
async def open_shift(store: Store, actor: Actor, venue_id: str | None = None) -> UUID:
    """Open the venue's shift."""
    venue_id = await resolve_venue(store, venue_id)
    running = await writes.open_shift_id(store, venue_id)
    if running is not None:
        raise ShiftAlreadyOpen("The venue already has an open shift: close it first.", shift_id=running)
    shift_id = uuid4()
    await store.insert(Shift, shift_id=shift_id, venue_id=venue_id, opened_by=actor.name)
    await store.audit(AuditAction.SHIFT_OPENED, actor, shift_id, venue_id)
    return shift_id


@use_case
async def close_shift(store: Store, actor: Actor, venue_id: str | None = None) -> UUID:
    """Close the venue's shift; refused, with the list of them, while visits are active or pours pending."""
    venue_id = await resolve_venue(store, venue_id)
    shift_id = await writes.lock_open_shift(store, venue_id)
    if shift_id is None:
        raise ShiftClosed(f"Venue {venue_id!r} has no open shift to close.", venue_id=venue_id)
    visits = await writes.active_visits(store, venue_id, MAX_LISTED)
    pours = await writes.pending_pours(store, venue_id, MAX_LISTED)
    if visits or pours:
        raise ShiftInUse(
            "Visits are active or pours pending: end them first.", active_visits=visits, pending_pours=pours, listed=MAX_LISTED
        )
    await writes.close_shift(store, actor, shift_id)
    await store.audit(AuditAction.SHIFT_CLOSED, actor, shift_id, venue_id)
    return shift_id


@use_case
async def make_x_report(store: Store, report: ShiftReport) -> ShiftReport:  # noqa: ARG001  a use case's first argument
    """Return a shift's sums as of now; a repeat of the same request gets the same report."""
    return report


@use_case
async def make_z_report(store: Store, actor: Actor, report: ShiftReport) -> ShiftReport:
    """Store a closed shift's totals for good, once: nothing is booked into it afterwards, so they can't change."""
    shift_id = report.shift_id
    shift = await writes.lock_shift(store, shift_id)
    if shift is None or shift.status is not ShiftStatus.CLOSED or report.closed_at is None:
        raise ShiftOpen("Close the shift first; an X report can be made at any time.", shift_id=shift_id)
    if shift.has_z_report:
        raise ZReportMade("The shift's Z report was already made: read it with GET.", shift_id=shift_id)
    await writes.keep_z_report(store, actor, shift_id, report)
    await store.audit(AuditAction.Z_REPORT_MADE, actor, shift_id, shift.venue_id)
    return report
