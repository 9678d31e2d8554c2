"""Top-ups, refunds and adjustments of guests' accounts (SYSTEM.md, "Money").

Each is one movement with two sides: the venue owes the guest's balance, so a top-up debits `cash` or `card` and credits `guest`.
"""

from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import moves_money, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import guests as guest_writes
from tapwire_core.db.writes import shifts as shift_writes
from tapwire_core.db.writes import venues as venue_writes
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.change_records import MoneyMoved
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, PaymentMethod
from tapwire_core.domain.venue_scope import ALL_VENUES, VenueScope
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.guests import require_guest
from tapwire_core.services.request_limits import MAX_AMOUNT_MINOR
from tapwire_core.services.venues import resolve_venue


class ShiftClosed(Refused):
    """The venue has no open shift."""

    code = "shift_closed"


class InsufficientFunds(Refused):
    """The amount is more than the guest has available."""

    code = "insufficient_funds"


class NotTheGuestsPour(Refused):
    """The pour was another guest's."""

    code = "not_the_guests_pour"


class Booking(Struct, frozen=True):
    """A booking and the account after it, in minor units; `amount_minor` is the change of the balance."""

    guest_id: UUID
    amount_minor: int
    currency: str
    balance_minor: int
    held_minor: int
    available_minor: int


class Till(Struct, frozen=True):
    """The place of a booking: a venue and its open shift, if there is one."""

    venue_id: str | None
    shift_id: UUID | None


@use_case
@moves_money
async def top_up(
    store: Store, actor: Actor, guest_id: UUID, amount_minor: int, method: PaymentMethod, venue_id: str | None = None
) -> Booking:
    """Take a guest's money; needs the venue's open shift."""
    _require_amount(amount_minor)
    till = await _open_till(store, venue_id)
    moved = MoneyMoved(debit_account=Account(method), credit_account=Account.GUEST, amount_minor=amount_minor, guest_id=guest_id)
    return await _book(store, actor, till, AuditAction.TOP_UP, moved, {"method": method})


@use_case
@moves_money
async def refund(
    store: Store, actor: Actor, guest_id: UUID, amount_minor: int, method: PaymentMethod, reason: str, venue_id: str | None = None
) -> Booking:
    """Give a guest money back, at most what is available; needs the venue's open shift."""
    _require_amount(amount_minor)
    till = await _open_till(store, venue_id)
    moved = MoneyMoved(
        debit_account=Account.GUEST,
        credit_account=Account(method),
        amount_minor=amount_minor,
        guest_id=guest_id,
        reason=reason,
    )
    return await _book(store, actor, till, AuditAction.REFUND, moved, {"method": method})


@use_case
@moves_money
async def adjust(
    store: Store,
    actor: Actor,
    guest_id: UUID,
    amount_minor: int,
    reason: str,
    pour_id: UUID | None = None,
    scope: VenueScope = ALL_VENUES,
) -> Booking:
    """Correct a balance up, or down by at most what is available; `pour_id`: the pour that it corrects.

    `scope`: the venues of the actor, to one of which it is booked.
    """
    _require_amount(abs(amount_minor))
    till = await _till_of_adjustment(store, guest_id, pour_id, scope)
    up = amount_minor > 0
    moved = MoneyMoved(
        debit_account=Account.ADJUSTMENT if up else Account.GUEST,
        credit_account=Account.GUEST if up else Account.ADJUSTMENT,
        amount_minor=abs(amount_minor),
        guest_id=guest_id,
        pour_id=pour_id,
        reason=reason,
    )
    return await _book(store, actor, till, AuditAction.ADJUSTMENT, moved, {"pour_id": pour_id})


async def require_open_shift(store: Store, venue_id: str) -> UUID:
    """Share-lock the venue's open shift; raises `ShiftClosed`."""
    shift_id = await shift_writes.open_shift_id(store, venue_id)
    if shift_id is None:
        raise ShiftClosed(f"Venue {venue_id!r} has no open shift: open one first.", venue_id=venue_id)
    return shift_id


async def _open_till(store: Store, venue_id: str | None) -> Till:
    venue_id = await resolve_venue(store, venue_id)
    return Till(venue_id, await require_open_shift(store, venue_id))


async def _till_of_adjustment(store: Store, guest_id: UUID, pour_id: UUID | None, scope: VenueScope) -> Till:
    """The pour's venue, else that of the guest's latest visit, else the only venue; else none. Outside the scope its only venue."""
    if pour_id is not None:
        venue_id: str | None = await _venue_of_pour(store, guest_id, pour_id)
    else:
        venue_id = await guest_writes.last_venue_of_guest(store, guest_id) or await venue_writes.sole_venue_id(store)
        if not scope.sees(venue_id):
            venue_id = scope.only_venue_id
    return Till(venue_id, await shift_writes.open_shift_id(store, venue_id) if venue_id else None)


async def _venue_of_pour(store: Store, guest_id: UUID, pour_id: UUID) -> str:
    pour = await guest_writes.pour_of_guest(store, pour_id)
    if pour is None:
        raise NotFound("pour", pour_id)
    if pour.guest_id != guest_id:
        raise NotTheGuestsPour("The pour belongs to another guest: check pour_id.", guest_id=pour.guest_id)
    return pour.venue_id


async def _book(
    store: Store, actor: Actor, till: Till, action: AuditAction, moved: MoneyMoved, details: dict[str, object]
) -> Booking:
    assert moved.guest_id is not None
    guest = await require_guest(store, moved.guest_id)
    change_minor = moved.amount_minor if moved.credit_account is Account.GUEST else -moved.amount_minor
    if guest.available_minor + change_minor < 0:
        raise InsufficientFunds(
            f"The amount, {moved.amount_minor}, is more than the guest has available, {guest.available_minor}.",
            available_minor=guest.available_minor,
            balance_minor=guest.balance_minor,
            held_minor=guest.held_minor,
        )
    balance_minor = guest.balance_minor + change_minor
    booked = {"amount_minor": change_minor, "balance_minor": balance_minor, "reason": moved.reason, **details}
    changes = Changes.by(actor, venue_id=till.venue_id, shift_id=till.shift_id)
    changes.money.append(moved)
    changes.audit(action, guest.guest_id, details=booked)
    await write_changes(store, changes)
    return Booking(
        guest_id=guest.guest_id,
        amount_minor=change_minor,
        currency=store.policy.currency,
        balance_minor=balance_minor,
        held_minor=guest.held_minor,
        available_minor=balance_minor - guest.held_minor,
    )


def _require_amount(amount_minor: int) -> None:
    if not 1 <= amount_minor <= MAX_AMOUNT_MINOR:
        raise Invalid(f"The amount must be 1 to {MAX_AMOUNT_MINOR} minor units.", field="amount_minor", max=MAX_AMOUNT_MINOR)
