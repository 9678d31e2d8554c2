"""Top-ups, refunds, comps and adjustments of guests' accounts (SYSTEM.md, "Money").

Each is one movement with two sides: the venue owes the guest's balance, so a top-up debits `cash` or `card` and credits `guest`.
"""

from typing import Final
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import moves_money, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import guests as guest_writes
from tapwire_core.db.writes import money as writes
from tapwire_core.db.writes import shifts as shift_writes
from tapwire_core.db.writes import venues as venue_writes
from tapwire_core.db.writes.guests import LockedGuest
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, PaymentMethod, Role
from tapwire_core.domain.house_credit import HouseCredit, refundable_minor
from tapwire_core.domain.venue_scope import ALL_VENUES, VenueScope
from tapwire_core.errors import Invalid, NotFound, Refused, RoleRequired
from tapwire_core.services.guests import require_guest
from tapwire_core.services.request_limits import MAX_AMOUNT_MINOR
from tapwire_core.services.venues import resolve_venue

REVERSAL_ALONE_MINUTES: Final = 10
"""Time in which the person who booked a top-up may reverse it without a shift lead."""


class ShiftClosed(Refused):
    """The venue has no open shift."""

    code = "shift_closed"


class InsufficientFunds(Refused):
    """The amount is more than the guest has available."""

    code = "insufficient_funds"


class NotRefundable(Refused):
    """The amount is more than the guest can be paid out: house credit is spent, not paid out."""

    code = "not_refundable"


class NotReversible(Refused):
    """The movement is no top-up by cash or card."""

    code = "not_reversible"


class AlreadyReversed(Refused):
    """The top-up was reversed before."""

    code = "already_reversed"


class RefundLimit(RoleRequired):
    """The payout is above what the operator may pay out alone."""

    code = "refund_limit"


class NotTheGuestsPour(Refused):
    """The pour was another guest's."""

    code = "not_the_guests_pour"


class Booking(Struct, frozen=True, kw_only=True):
    """A booking and the account after it, in minor units; `amount_minor` is the change of the balance."""

    movement_id: int
    guest_id: UUID
    amount_minor: int
    currency: str
    balance_minor: int
    held_minor: int
    available_minor: int
    house_credit_minor: int
    refundable_minor: int


class Till(Struct, frozen=True):
    """The place of a booking: a venue and its open shift, if there is one."""

    venue_id: str | None
    shift_id: UUID | None


class _Movement(Struct, frozen=True, kw_only=True):
    """A movement to book; `subjects` beside the guest and `details`: what else the audit log keeps of it."""

    action: AuditAction
    debit: Account
    credit: Account
    amount_minor: int
    pour_id: UUID | None = None
    reason: str | None = None
    reverses_movement_id: int | None = None
    subjects: tuple[UUID, ...] = ()
    details: dict[str, object] = {}

    @property
    def change_minor(self) -> int:
        """The change of the guest's balance."""
        return self.amount_minor if self.credit is Account.GUEST else -self.amount_minor


@use_case
@moves_money
async def top_up(
    store: Store, actor: Actor, guest_id: UUID, amount_minor: int, method: PaymentMethod, venue_id: str | None = None
) -> Booking:
    """Take a guest's money; needs the venue's open shift."""
    _require_amount(amount_minor)
    till = await _open_till(store, venue_id)
    movement = _Movement(
        action=AuditAction.TOP_UP,
        debit=Account(method),
        credit=Account.GUEST,
        amount_minor=amount_minor,
        details={"method": method},
    )
    return await _book(store, actor, till, await require_guest(store, guest_id), movement)


@use_case
@moves_money
async def refund(
    store: Store, actor: Actor, guest_id: UUID, amount_minor: int, method: PaymentMethod, reason: str, venue_id: str | None = None
) -> Booking:
    """Give a guest money back, at most what is refundable; needs the venue's open shift."""
    _require_amount(amount_minor)
    till = await _open_till(store, venue_id)
    guest = await require_guest(store, guest_id)
    require_available(guest, amount_minor)
    require_refundable(guest, amount_minor)
    return await pay_out(store, actor, till, guest, amount_minor, method, reason)


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
    guest = await require_guest(store, guest_id)
    up = amount_minor > 0
    movement = _Movement(
        action=AuditAction.ADJUSTMENT,
        debit=Account.ADJUSTMENT if up else Account.GUEST,
        credit=Account.GUEST if up else Account.ADJUSTMENT,
        amount_minor=abs(amount_minor),
        pour_id=pour_id,
        reason=reason,
        details={"pour_id": pour_id},
    )
    return await _book(store, actor, till, guest, movement)


@use_case
@moves_money
async def comp(
    store: Store,
    actor: Actor,
    guest_id: UUID,
    amount_minor: int,
    reason: str,
    pour_id: UUID | None = None,
    venue_id: str | None = None,
    scope: VenueScope = ALL_VENUES,
) -> Booking:
    """Give a guest money of the house, to be poured and not paid out; `pour_id`: the pour that it makes up for.

    Booked to `venue_id`, else as an adjustment is.
    """
    _require_amount(amount_minor)
    till = await _till_of_comp(store, guest_id, pour_id, venue_id, scope)
    movement = _Movement(
        action=AuditAction.COMP,
        debit=Account.COMP,
        credit=Account.GUEST,
        amount_minor=amount_minor,
        pour_id=pour_id,
        reason=reason,
        details={"pour_id": pour_id},
    )
    return await _book(store, actor, till, await require_guest(store, guest_id), movement)


@use_case
@moves_money
async def reverse_top_up(store: Store, actor: Actor, role: Role, guest_id: UUID, movement_id: int, reason: str) -> Booking:
    """Take a top-up by cash or card back, whole, in its own open shift, and once; at most what is refundable.

    The person who booked it may for `REVERSAL_ALONE_MINUTES`, later and others' takes a shift lead.
    """
    first = await writes.find_movement(store, guest_id, movement_id, REVERSAL_ALONE_MINUTES)
    if first is None:
        raise NotFound("top-up of this guest", movement_id)
    if not first.is_top_up:
        raise NotReversible("Only a top-up by cash or card can be reversed: correct the balance.", movement_id=movement_id)
    shift_id = await shift_writes.open_shift_id(store, first.venue_id) if first.venue_id else None
    guest = await require_guest(store, guest_id)
    reversed_by = await writes.reversal_of(store, movement_id)
    if reversed_by is not None:
        raise AlreadyReversed("The top-up was reversed before.", reversed_by_movement_id=reversed_by)
    if shift_id is None or shift_id != first.shift_id:
        raise ShiftClosed("The top-up's shift is closed: make a refund.", venue_id=first.venue_id)
    if not (role.includes(Role.SHIFT_LEAD) or (first.actor == actor.name and first.is_fresh)):
        raise RoleRequired(
            f"Others' top-ups, and one's own after {REVERSAL_ALONE_MINUTES} minutes, take a shift lead.",
            required_role=Role.SHIFT_LEAD,
            role=role,
        )
    require_refundable(guest, first.amount_minor)
    method = PaymentMethod(first.debit_account)
    movement = _Movement(
        action=AuditAction.TOP_UP_REVERSED,
        debit=Account.GUEST,
        credit=Account(method),
        amount_minor=first.amount_minor,
        reason=reason,
        reverses_movement_id=movement_id,
        details={"method": method, "reverses_movement_id": movement_id, "booked_by": first.actor},
    )
    return await _book(store, actor, Till(first.venue_id, shift_id), guest, movement)


async def pay_out(
    store: Store,
    actor: Actor,
    till: Till,
    guest: LockedGuest,
    amount_minor: int,
    method: PaymentMethod,
    reason: str,
    *subjects: UUID,
) -> Booking:
    """Pay money out to a locked guest, who has it; `subjects`: what it is about beside the guest."""
    movement = _Movement(
        action=AuditAction.REFUND,
        debit=Account.GUEST,
        credit=Account(method),
        amount_minor=amount_minor,
        reason=reason,
        subjects=subjects,
        details={"method": method},
    )
    return await _book(store, actor, till, guest, movement)


async def require_open_shift(store: Store, venue_id: str) -> UUID:
    """Share-lock the venue's open shift; raises `ShiftClosed`."""
    shift_id = await shift_writes.open_shift_id(store, venue_id)
    if shift_id is None:
        raise ShiftClosed(f"Venue {venue_id!r} has no open shift: open one first.", venue_id=venue_id)
    return shift_id


def require_available(guest: LockedGuest, amount_minor: int) -> None:
    """Raise `InsufficientFunds` for an amount above what the guest has available."""
    if amount_minor > guest.available_minor:
        raise InsufficientFunds(
            f"The amount, {amount_minor}, is more than the guest has available, {guest.available_minor}.",
            available_minor=guest.available_minor,
            balance_minor=guest.balance_minor,
            held_minor=guest.held_minor,
        )


def require_refundable(guest: LockedGuest, amount_minor: int) -> None:
    """Raise `NotRefundable` for an amount above what can be paid out to the guest."""
    if amount_minor > guest.refundable_minor:
        raise NotRefundable(
            f"The amount, {amount_minor}, is more than can be paid out, {guest.refundable_minor}: house credit is not.",
            refundable_minor=guest.refundable_minor,
            house_credit_minor=guest.house_credit_minor,
            available_minor=guest.available_minor,
        )


async def require_payout_allowed(
    store: Store,
    role: Role,
    till: Till,
    guest: LockedGuest,
    amount_minor: int,
    method: PaymentMethod,
    *,
    online_minor: int = 0,
) -> None:
    """Raise `RefundLimit` for a payout that takes a shift lead; the guest is locked. `online_minor` of it goes back to a provider.

    An operator may pay out up to the venue's `operator_refund_limit_minor`, summed over all payouts to the guest in the shift, and
    cash only as far as the guest has paid it in.
    """
    if role.includes(Role.SHIFT_LEAD):
        return
    bounds = await writes.payout_bounds(store, till.venue_id, till.shift_id, guest.guest_id)
    needed = {"required_role": Role.SHIFT_LEAD, "role": role}
    if bounds.paid_out_minor + amount_minor > bounds.limit_minor:
        raise RefundLimit(
            f"An operator pays out up to {bounds.limit_minor} to a guest in a shift: ask a shift lead.",
            limit_minor=bounds.limit_minor,
            paid_out_minor=bounds.paid_out_minor,
            **needed,
        )
    if method is PaymentMethod.CASH and amount_minor - online_minor > bounds.cash_minor:
        raise RefundLimit(
            f"An operator pays out in cash what came in as cash, here {bounds.cash_minor}: ask a shift lead.",
            limit_minor=bounds.cash_minor,
            method=method,
            **needed,
        )


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


async def _till_of_comp(store: Store, guest_id: UUID, pour_id: UUID | None, venue_id: str | None, scope: VenueScope) -> Till:
    if venue_id is None:
        return await _till_of_adjustment(store, guest_id, pour_id, scope)
    await resolve_venue(store, venue_id)
    if pour_id is not None and await _venue_of_pour(store, guest_id, pour_id) != venue_id:
        raise Invalid("The pour was at another venue: leave venue_id out.", field="venue_id")
    return Till(venue_id, await shift_writes.open_shift_id(store, venue_id))


async def _venue_of_pour(store: Store, guest_id: UUID, pour_id: UUID) -> str:
    pour = await guest_writes.pour_of_guest(store, pour_id)
    if pour is None:
        raise NotFound("pour", pour_id)
    if pour.guest_id != guest_id:
        raise NotTheGuestsPour("The pour belongs to another guest: check pour_id.", guest_id=pour.guest_id)
    return pour.venue_id


async def _book(store: Store, actor: Actor, till: Till, guest: LockedGuest, movement: _Movement) -> Booking:
    """Book a movement on a locked guest's account; raises `InsufficientFunds`."""
    require_available(guest, -movement.change_minor)
    balance_minor = guest.balance_minor + movement.change_minor
    changes = Changes.by(actor, venue_id=till.venue_id, shift_id=till.shift_id)
    changes.note_house_credit(guest.guest_id, await _house_credit(store, guest, movement.pour_id))
    changes.move_money(
        movement.debit,
        movement.credit,
        movement.amount_minor,
        guest_id=guest.guest_id,
        pour_id=movement.pour_id,
        reason=movement.reason,
        reverses_movement_id=movement.reverses_movement_id,
    )
    booked = {"amount_minor": movement.change_minor, "balance_minor": balance_minor, "reason": movement.reason}
    changes.audit(movement.action, guest.guest_id, *movement.subjects, details={**booked, **movement.details})
    house_credit_minor = changes.house_credits[guest.guest_id].minor
    await write_changes(store, changes)
    available_minor = balance_minor - guest.held_minor
    return Booking(
        movement_id=await writes.newest_movement(store, guest.guest_id),
        guest_id=guest.guest_id,
        amount_minor=movement.change_minor,
        currency=store.policy.currency,
        balance_minor=balance_minor,
        held_minor=guest.held_minor,
        available_minor=available_minor,
        house_credit_minor=house_credit_minor,
        refundable_minor=refundable_minor(available_minor, house_credit_minor),
    )


async def _house_credit(store: Store, guest: LockedGuest, pour_id: UUID | None) -> HouseCredit:
    taken_minor = await guest_writes.house_credit_taken(store, guest.guest_id, pour_id) if pour_id else 0
    return HouseCredit(guest.house_credit_minor, taken_minor)


def _require_amount(amount_minor: int) -> None:
    if not 1 <= amount_minor <= MAX_AMOUNT_MINOR:
        raise Invalid(f"The amount must be 1 to {MAX_AMOUNT_MINOR} minor units.", field="amount_minor", max=MAX_AMOUNT_MINOR)
