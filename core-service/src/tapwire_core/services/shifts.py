"""Shifts: opening, closing, X and Z reports."""

from contextlib import suppress
from typing import Final
from uuid import UUID, uuid4

from msgspec.structs import replace

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import moves_money, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Shift
from tapwire_core.db.views.shift_reports import ShiftReport
from tapwire_core.db.writes import shift_cash as cash_writes
from tapwire_core.db.writes import shifts as writes
from tapwire_core.db.writes import venues as venue_writes
from tapwire_core.db.writes import visits as visit_writes
from tapwire_core.db.writes.shifts import LockedShift
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import ShiftStatus
from tapwire_core.errors import DomainError, Refused
from tapwire_core.services.money import ShiftClosed
from tapwire_core.services.shift_cash import ZReportMade, empty_drawer, fill_drawer, require_counting
from tapwire_core.services.shown import Shown, require_as_shown
from tapwire_core.services.venues import resolve_venue

MAX_LISTED: Final = 100
"""Largest number of visits, and of pours, listed when closing is refused."""
LOCK_ATTEMPTS: Final = 3
"""Attempts to lock a venue's visits and then its shift with none opened in between."""


class ShiftAlreadyOpen(Refused):
    """The venue has an open shift."""

    code = "shift_already_open"


class ShiftOpen(Refused):
    """The shift is open; a Z report needs a closed one."""

    code = "shift_open"


class ShiftInUse(Refused):
    """Visits are active or pours pending."""

    code = "shift_in_use"


class VisitsKeepComing(DomainError):
    """Visits were opened faster than they could be locked."""

    code = "busy"


class _VisitCame(Exception):
    """A visit was opened between the locks of the visits and that of their shift."""


@use_case
@moves_money
async def open_shift(store: Store, actor: Actor, venue_id: str | None = None, float_minor: int | None = None) -> UUID:
    """Open the venue's shift; `float_minor`: cash from the safe for the drawer, where the venue counts it."""
    venue_id = await resolve_venue(store, venue_id)
    running = await writes.open_shift_id(store, venue_id)
    if running is not None:
        raise ShiftAlreadyOpen("The venue already has an open shift: close it first.", shift_id=running)
    counts = await venue_writes.counts_cash(store, venue_id)
    if float_minor:
        require_counting(None, venue_id, count_cash=counts)
    shift_id = uuid4()
    await store.insert(Shift, shift_id=shift_id, venue_id=venue_id, opened_by=actor.name, count_cash=counts)
    await fill_drawer(store, actor, shift_id, venue_id, float_minor or 0)
    details = {"float_minor": float_minor or 0} if counts else {}
    await store.audit(AuditAction.SHIFT_OPENED, actor, shift_id, venue_id, details=details)
    return shift_id


@use_case
@moves_money
async def close_shift(
    store: Store,
    actor: Actor,
    venue_id: str | None = None,
    *,
    counted_minor: int | None = None,
    end_visits: bool = False,
    shown: Shown | None = None,
) -> UUID:
    """Close the venue's shift; refused, with the list of them, while visits are active or pours pending.

    `end_visits` closes all its visits too, and is refused as a whole while pours are pending. Balances are kept, and cards stay
    bound. `counted_minor`: what the drawer was counted to have.
    """
    venue_id = await resolve_venue(store, venue_id)
    try:
        shift, visit_ids = await (_lock_with_visits if end_visits else _lock_alone)(store, venue_id)
    except ShiftClosed:
        await require_as_shown(store, shown)  # says that somebody else closed the shown one
        raise
    await require_as_shown(store, shown)
    await _require_unused(store, venue_id, ends_visits=end_visits)
    await empty_drawer(store, actor, shift, counted_minor)
    if visit_ids:
        await visit_writes.end_visits(store, actor, visit_ids, shift.shift_id)
    await writes.close_shift(store, actor, shift.shift_id)
    details = {"ended_visits": len(visit_ids)} if end_visits else {}
    await store.audit(AuditAction.SHIFT_CLOSED, actor, shift.shift_id, venue_id, details=details)
    return shift.shift_id


async def _require_unused(store: Store, venue_id: str, *, ends_visits: bool) -> None:
    """Raise `ShiftInUse`, with the first of them and their number, while pours are pending, or visits active that nobody ends."""
    visits = [] if ends_visits else await writes.active_visits(store, venue_id, MAX_LISTED)
    pours = await writes.pending_pours(store, venue_id, MAX_LISTED)
    if not visits and not pours:
        return
    counts = await writes.count_in_use(store, venue_id)
    raise ShiftInUse(
        "Visits are active or pours pending: end them first.",
        active_visits=visits,
        pending_pours=pours,
        active_visit_count=0 if ends_visits else counts.active_visits,
        pending_pour_count=counts.pending_pours,
        listed=MAX_LISTED,
    )


async def _lock_alone(store: Store, venue_id: str) -> tuple[LockedShift, list[UUID]]:
    """Lock the venue's open shift, and no visits."""
    shift = await writes.lock_open_shift(store, venue_id)
    if shift is None:
        raise ShiftClosed(f"Venue {venue_id!r} has no open shift to close.", venue_id=venue_id)
    return shift, []


async def _lock_with_visits(store: Store, venue_id: str) -> tuple[LockedShift, list[UUID]]:
    """Lock all active visits of the venue, then its open shift, as every other transaction does.

    A visit that was opened in between starts it over, without any lock; once the shift is locked none can come.
    """
    for _ in range(LOCK_ATTEMPTS):
        with suppress(_VisitCame):
            async with store.connection.transaction():  # a savepoint: rolled back, it releases the locks
                visit_ids = await visit_writes.lock_active_visits(store, venue_id)
                locked, _ = await _lock_alone(store, venue_id)
                if await visit_writes.has_other_active_visit(store, venue_id, visit_ids):
                    raise _VisitCame
            return locked, visit_ids
    raise VisitsKeepComing("Visits are being opened at this moment: try again.", venue_id=venue_id, retry_after_ms=1_000)


@use_case
async def make_x_report(store: Store, report: ShiftReport) -> ShiftReport:  # noqa: ARG001  a use case's first argument
    """Return a shift's sums as of now; a repeat of the same request gets the same report."""
    return report


@use_case
async def make_z_report(store: Store, actor: Actor, report: ShiftReport) -> ShiftReport:
    """Store a closed shift's totals for good, once: but for counts of its drawer nothing is booked into it after its close.

    The count is read again under the shift's lock, for one that came after the sums were read.
    """
    shift_id = report.shift_id
    shift = await writes.lock_shift(store, shift_id)
    if shift is None or shift.status is not ShiftStatus.CLOSED or report.closed_at is None:
        raise ShiftOpen("Close the shift first; an X report can be made at any time.", shift_id=shift_id)
    if shift.has_z_report:
        raise ZReportMade("The shift's Z report was already made: read it with GET.", shift_id=shift_id)
    if shift.count_cash and report.cash is not None:
        count = await cash_writes.last_count(store, shift_id)
        assert count is not None, "a shift that counts its cash is closed with a count"
        counted = replace(report.cash, counted_minor=count.counted_minor, over_short_minor=count.over_short_minor)
        report = replace(report, cash=counted)
    await writes.keep_z_report(store, actor, shift_id, report)
    await store.audit(AuditAction.Z_REPORT_MADE, actor, shift_id, shift.venue_id)
    return report
