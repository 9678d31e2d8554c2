"""Check-out: the deposit, the payout, the card and the visit in one transaction (SYSTEM.md, "Check-out and receipt").

It locks the card, the visit and the guest, and only then the shift. What is booked on the guest's account waits for it, or it for
that; what comes later finds the visit closed.
"""

from uuid import UUID

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database, moves_money, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import cards as card_writes
from tapwire_core.db.writes import check_outs as writes
from tapwire_core.db.writes import visits as visit_writes
from tapwire_core.db.writes.cards import LockedCard
from tapwire_core.db.writes.visits import LockedVisit
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.check_outs import CheckOutWish, Preview, Unpaid
from tapwire_core.domain.closed_sets import CardStatus, Role, VisitStatus
from tapwire_core.domain.house_credit import refundable_minor
from tapwire_core.domain.incidents import unpaid_minor
from tapwire_core.domain.venue_scope import ALL_VENUES, VenueScope
from tapwire_core.errors import NotFound, ReasonRequired, Refused, RoleRequired
from tapwire_core.services.cards import release_card
from tapwire_core.services.deposits import forfeit_deposit
from tapwire_core.services.guests import require_guest
from tapwire_core.services.money import Till, pay_out, require_open_shift, require_payout_allowed
from tapwire_core.services.payments import paid_online, pay_back
from tapwire_core.services.shown import Shown, require_as_shown
from tapwire_core.services.visits import PourPending, VisitNotActive, already_active

DEFAULT_REASON = "check-out"


class IncidentOpen(Refused):
    """Something of the guest's pours is unpaid."""

    code = "incident_open"


class CardNotReturnable(Refused):
    """The visit has no card that could be returned."""

    code = "card_not_returnable"


class AlreadyCheckedOut(Refused):
    """The visit was checked out, and something else was asked for."""

    code = "already_checked_out"


@use_case
@moves_money
async def check_out(
    store: Store,
    actor: Actor,
    visit_id: UUID,
    wish: CheckOutWish,
    role: Role = Role.SHIFT_LEAD,
    scope: VenueScope = ALL_VENUES,
    *,
    shown: Shown | None = None,
) -> UUID:
    """End a guest's stay: pay out or keep, take the card back, close the visit. Returns the visit's id.

    `role`: of the actor. `scope`: the venues of the actor, whose incidents a refusal names. The same again changes nothing.
    """
    card, visit = await _lock(store, visit_id)
    guest = await require_guest(store, visit.guest_id)
    done = await writes.wish_of_check_out(store, visit_id)
    if done == wish:
        return visit_id
    if done is not None:
        raise AlreadyCheckedOut("The visit was already checked out, in another way: read its receipt.", visit_id=visit_id)
    await require_as_shown(store, shown)
    await _require_open(store, visit)
    unpaid = await _require_paid(store, visit, wish, role, scope)
    if wish.card_returned:
        await release_card(store, actor, _returnable(visit, card))
    elif card is not None and card.guest_id == visit.guest_id:
        await forfeit_deposit(store, actor, card)
    paid_out_minor = await _pay_out(store, actor, visit, wish, role)
    await writes.keep_check_out(store, actor, visit_id, wish, paid_out_minor)
    subjects = (visit_id, visit.guest_id, visit.card_uid, visit.venue_id)
    if visit.status is VisitStatus.ACTIVE:
        await visit_writes.close_visit(store, actor, visit_id)
        await store.audit(AuditAction.VISIT_CLOSED, actor, *subjects)
    else:
        await writes.take_in_later_movements(store, visit_id, visit.guest_id)
    details = {
        "paid_out_minor": paid_out_minor,
        "method": wish.payout,
        "card_returned": wish.card_returned,
        "deposit_minor": card.deposit_minor if card is not None and card.guest_id == guest.guest_id else 0,
        "despite_incidents": [incident.incident_id for incident in unpaid],
        "reason": wish.reason,
    }
    await store.audit(AuditAction.VISIT_CHECKED_OUT, actor, *subjects, details=details)
    return visit_id


async def _lock(store: Store, visit_id: UUID) -> tuple[LockedCard | None, LockedVisit]:
    """Lock a visit after its card, in the order of all locks."""
    card_uid = await visit_writes.card_of_visit(store, visit_id)
    card = await card_writes.lock_card(store, card_uid) if card_uid is not None else None
    visit = await visit_writes.lock_visit(store, visit_id)
    if visit is None:
        raise NotFound("visit", visit_id)
    if visit.card_uid != card_uid:
        # it got another card meanwhile; out of order, so a deadlock is possible: the database ends it, and this is tried again
        card = await card_writes.lock_card(store, visit.card_uid) if visit.card_uid is not None else None
    return card, visit


async def _require_open(store: Store, visit: LockedVisit) -> None:
    """Raise unless the visit is active, or was ended with its shift, and its guest has no other one."""
    if visit.status is VisitStatus.ACTIVE:
        pours = await visit_writes.pending_pours_of_visit(store, visit.visit_id)
        if pours:
            raise PourPending("A pour of this visit has not been reported yet: wait, or reconcile it.", pour_ids=pours)
        return
    if not visit.ended_with_shift:
        raise VisitNotActive("The visit is closed: pay out by a refund.", visit_id=visit.visit_id)
    active = await visit_writes.active_visit_of_guest(store, visit.guest_id)
    if active is not None:
        raise already_active(active)


async def preview(db: Database, visit_id: UUID, scope: VenueScope = ALL_VENUES) -> Preview:
    """What a check-out of the visit would do now; raises `NotFound`. `scope`: of the reader."""
    async with db.snapshot() as store:
        account = await writes.account_at_end(store, visit_id)
        guest_id = await visit_writes.guest_of_visit(store, visit_id)
        if account is None or guest_id is None:
            raise NotFound("visit", visit_id)
        unpaid = await _unpaid(store, guest_id, scope)
        online_minor = await paid_online(store, guest_id)
    with_card_minor = account.available_minor + account.deposit_minor
    return Preview(
        returnable=account.returnable,
        deposit_minor=account.deposit_minor,
        house_credit_minor=account.house_credit_minor,
        payout_minor=refundable_minor(with_card_minor, account.house_credit_minor),
        payout_without_card_minor=refundable_minor(account.available_minor, account.house_credit_minor),
        paid_online_minor=online_minor,
        unpaid=tuple(unpaid),
    )


async def _unpaid(store: Store, guest_id: UUID, scope: VenueScope) -> list[Unpaid]:
    """What of the guest's pours is not paid."""
    found = await writes.unresolved_incidents_of_guest(store, guest_id)
    return [
        Unpaid(
            incident_id=incident.incident_id if scope.sees(incident.venue_id) else None, kind=incident.kind, amount_minor=due_minor
        )
        for incident in found
        if (due_minor := unpaid_minor(incident.kind, incident.details, incident.sales_minor))
    ]


async def _require_paid(store: Store, visit: LockedVisit, wish: CheckOutWish, role: Role, scope: VenueScope) -> list[Unpaid]:
    """Raise `IncidentOpen` while something of the guest's pours is unpaid, unless a shift lead passes; returns what is passed."""
    unpaid = await _unpaid(store, visit.guest_id, scope)
    if not unpaid:
        return []
    if not wish.despite_incidents:
        raise IncidentOpen(
            "Something that the guest poured is not paid yet: resolve these incidents first.",
            incidents=unpaid,
            amount_minor=sum(incident.amount_minor for incident in unpaid),
        )
    if not role.includes(Role.SHIFT_LEAD):
        raise RoleRequired("A shift lead may check out despite open incidents.", required_role=Role.SHIFT_LEAD, role=role)
    if wish.reason is None:
        raise ReasonRequired("Say why the guest goes although something is unpaid.", field="reason")
    return unpaid


def _returnable(visit: LockedVisit, card: LockedCard | None) -> LockedCard:
    """The visit's card, which the guest gives back; raises `CardNotReturnable`."""
    if card is None:
        raise CardNotReturnable("The visit has no card: check out without it.", visit_id=visit.visit_id, card_uid=None)
    if card.status is not CardStatus.BOUND or card.guest_id != visit.guest_id:
        status = card.status if card.guest_id == visit.guest_id else CardStatus.AVAILABLE
        raise CardNotReturnable(
            "The card is lost, or no longer the guest's: check out without it.", card_uid=card.card_uid, card_status=status
        )
    return card


async def _pay_out(store: Store, actor: Actor, visit: LockedVisit, wish: CheckOutWish, role: Role) -> int:
    """Pay the guest what can be paid out; returns the amount. Raises `ShiftClosed` and `RefundLimit`.

    What came by a payment provider goes back through it, the rest as it was wished.
    """
    guest = await require_guest(store, visit.guest_id)
    amount_minor = guest.refundable_minor
    if wish.payout is None or not amount_minor:
        return 0
    till = Till(visit.venue_id, await require_open_shift(store, visit.venue_id))
    online_minor = min(amount_minor, await paid_online(store, guest.guest_id))
    await require_payout_allowed(store, role, till, guest, amount_minor, wish.payout, online_minor=online_minor)
    reason = wish.reason or DEFAULT_REASON
    if online_minor:
        await pay_back(store, actor, till, guest, online_minor, reason, visit.visit_id)
        guest = await require_guest(store, visit.guest_id)
    if amount_minor > online_minor:
        await pay_out(store, actor, till, guest, amount_minor - online_minor, wish.payout, reason, visit.visit_id)
    return amount_minor
