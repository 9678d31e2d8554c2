"""The drawer of a shift: cash that goes in and out, and its counts (SYSTEM.md, "The drawer").

Each locks the shift exclusively, which taking cash share-locks: so a count sees every booking before it, and none comes between.
"""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import moves_money, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import shift_cash as writes
from tapwire_core.db.writes import shifts as shift_writes
from tapwire_core.db.writes.shift_cash import LastCount
from tapwire_core.db.writes.shifts import LockedShift
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import CashKind, Role, ShiftStatus
from tapwire_core.domain.drawer import book_count, move_cash, put_float
from tapwire_core.errors import Invalid, NotFound, ReasonRequired, Refused, RoleRequired
from tapwire_core.services.money import ShiftClosed
from tapwire_core.services.request_limits import MAX_AMOUNT_MINOR


class CashNotCounted(Refused):
    """The shift does not count its cash."""

    code = "cash_not_counted"


class DrawerShort(Refused):
    """The drawer has less than that, by the books."""

    code = "drawer_short"


class CountRequired(Refused):
    """The shift's drawer must be counted first, or again: cash has moved since the last count."""

    code = "count_required"


class ZReportMade(Refused):
    """The shift's Z report was already made."""

    code = "z_report_made"


class CashMoved(Struct, frozen=True):
    """Cash that went into a shift's drawer, or out of it."""

    shift_id: UUID
    kind: CashKind
    amount_minor: int
    currency: str


class DrawerCount(Struct, frozen=True, kw_only=True):
    """A count of a shift's drawer; `over_short_minor` is counted less expected, below 0 where cash is missing."""

    shift_id: UUID
    counted_minor: int
    expected_minor: int
    over_short_minor: int
    currency: str
    counted_by: str
    counted_at: datetime


@use_case
@moves_money
async def book_cash(store: Store, actor: Actor, shift_id: UUID, kind: CashKind, amount_minor: int, reason: str) -> CashMoved:
    """Pay cash into an open shift's drawer or out of it, or drop some of it into the safe."""
    _require_amount("amount_minor", amount_minor, 1)
    shift = await _lock_counting_shift(store, shift_id)
    if shift.status is not ShiftStatus.OPEN:
        raise ShiftClosed("The shift is closed: its drawer is empty.", shift_id=shift_id, venue_id=shift.venue_id)
    drawer = await writes.read_drawer(store, shift_id)
    if kind is not CashKind.PAY_IN and amount_minor > drawer.account_minor:
        # the text names no sum: the drawer is counted blind
        raise DrawerShort("By the books the drawer has less than that: count it.", shift_id=shift_id, amount_minor=amount_minor)
    await writes.move_cash(store, actor, shift_id, shift.venue_id, [move_cash(kind, amount_minor)], reason=reason)
    details = {"kind": kind, "amount_minor": amount_minor, "reason": reason}
    await store.audit(AuditAction.CASH_MOVED, actor, shift_id, details=details, venue_id=shift.venue_id)
    return CashMoved(shift_id, kind, amount_minor, store.policy.currency)


@use_case
@moves_money
async def count_drawer(
    store: Store, actor: Actor, role: Role, shift_id: UUID, counted_minor: int, reason: str | None = None
) -> DrawerCount:
    """Count a shift's drawer; the same count again changes nothing. Of a closed shift a shift lead corrects it, until the Z."""
    shift = await _lock_counting_shift(store, shift_id)
    if shift.has_z_report:
        raise ZReportMade("The shift's Z report was already made: it has the count.", shift_id=shift_id)
    if shift.status is ShiftStatus.CLOSED:
        if not role.includes(Role.SHIFT_LEAD):
            raise RoleRequired("After closing a shift lead corrects the count.", required_role=Role.SHIFT_LEAD, role=role)
        if reason is None:
            raise ReasonRequired("The shift is closed: say why its drawer is counted again.", field="reason")
    return await count_locked_drawer(store, actor, shift, counted_minor, reason, closed=shift.status is ShiftStatus.CLOSED)


async def count_locked_drawer(
    store: Store, actor: Actor, shift: LockedShift, counted_minor: int, reason: str | None = None, *, closed: bool
) -> DrawerCount:
    """Book a count of a locked shift's drawer; part of a larger use case. `closed`: the shift is, or is being."""
    _require_amount("counted_minor", counted_minor, 0)
    drawer = await writes.read_drawer(store, shift.shift_id)
    count = await writes.last_count(store, shift.shift_id)
    if count is None or (count.counted_minor, count.expected_minor) != (counted_minor, drawer.expected_minor):
        count = await writes.add_count(store, actor, shift.shift_id, shift.venue_id, drawer.expected_minor, counted_minor, reason)
        details = {
            "counted_minor": counted_minor,
            "expected_minor": drawer.expected_minor,
            "over_short_minor": count.over_short_minor,
            "reason": reason,
        }
        await store.audit(AuditAction.SHIFT_COUNTED, actor, shift.shift_id, details=details, venue_id=shift.venue_id)
    moved = book_count(drawer, counted_minor, closed=closed)
    await writes.move_cash(store, actor, shift.shift_id, shift.venue_id, moved, reason=reason, count_id=count.count_id)
    return _count_of(store, shift.shift_id, count)


async def empty_drawer(store: Store, actor: Actor, shift: LockedShift, counted_minor: int | None) -> None:
    """Count the drawer of a locked shift that closes, or take its last count, and book what was counted into the safe."""
    if not shift.count_cash:
        if counted_minor is not None:
            raise _not_counted(shift.shift_id)
        return
    if counted_minor is None:
        drawer = await writes.read_drawer(store, shift.shift_id)
        count = await writes.last_count(store, shift.shift_id)
        if count is None or count.expected_minor != drawer.expected_minor:
            text = "Count the drawer first." if count is None else "Cash has moved since the drawer was counted: count it again."
            raise CountRequired(text, shift_id=shift.shift_id)
        counted_minor = count.counted_minor
    await count_locked_drawer(store, actor, shift, counted_minor, closed=True)


async def fill_drawer(store: Store, actor: Actor, shift_id: UUID, venue_id: str, float_minor: int) -> None:
    """Bring a new shift's float from the safe; part of opening it."""
    _require_amount("float_minor", float_minor, 0)
    await writes.move_cash(store, actor, shift_id, venue_id, put_float(float_minor))


def require_counting(shift_id: UUID | None, venue_id: str, *, count_cash: bool) -> None:
    """Raise `CashNotCounted` for a venue or shift without a drawer."""
    if not count_cash:
        raise _not_counted(shift_id, venue_id)


def _not_counted(shift_id: UUID | None, venue_id: str | None = None) -> CashNotCounted:
    known = {"shift_id": shift_id, "venue_id": venue_id}
    text = "This shift does not count its cash: set the venue's count_cash, and open the next shift."
    return CashNotCounted(text, **{name: value for name, value in known.items() if value is not None})


async def _lock_counting_shift(store: Store, shift_id: UUID) -> LockedShift:
    shift = await shift_writes.lock_shift(store, shift_id)
    if shift is None:
        raise NotFound("shift", shift_id)
    require_counting(shift_id, shift.venue_id, count_cash=shift.count_cash)
    return shift


def _count_of(store: Store, shift_id: UUID, count: LastCount) -> DrawerCount:
    return DrawerCount(
        shift_id=shift_id,
        counted_minor=count.counted_minor,
        expected_minor=count.expected_minor,
        over_short_minor=count.over_short_minor,
        currency=store.policy.currency,
        counted_by=count.counted_by,
        counted_at=count.counted_at,
    )


def _require_amount(field: str, amount_minor: int, least: int) -> None:
    if not least <= amount_minor <= MAX_AMOUNT_MINOR:
        raise Invalid(f"{field} must be {least} to {MAX_AMOUNT_MINOR} minor units.", field=field, max=MAX_AMOUNT_MINOR)
