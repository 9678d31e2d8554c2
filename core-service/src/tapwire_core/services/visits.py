"""Visits: opening, assigning cards, closing (SYSTEM.md, "Operators").

Opening a visit and issuing its card is one transaction, with the rules of binding and assigning. It locks the open shift, the card
and then the guest, so the second click of a double click waits, sees the first one's visit, and gives the same answer.
"""

from typing import Final
from uuid import UUID, uuid4

from msgspec import Struct
from msgspec.structs import replace

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Visit
from tapwire_core.db.writes import cards as card_writes
from tapwire_core.db.writes import guests as guest_writes
from tapwire_core.db.writes import visits as writes
from tapwire_core.db.writes.cards import LockedCard
from tapwire_core.db.writes.rows import change_row
from tapwire_core.db.writes.venues import minors_allowed
from tapwire_core.db.writes.visits import ActiveVisit, LockedVisit
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import VisitStatus
from tapwire_core.domain.serving_limits import allowance
from tapwire_core.errors import NotFound, ReasonRequired, Refused
from tapwire_core.services.cards import (
    CardBusy,
    CardUidInvalid,
    Reading,
    Stage,
    bind_locked_card,
    lock_card_for_issue,
    read_card_uid,
    replace_lost_cards,
    require_on_reader,
)
from tapwire_core.services.deposits import take_deposit
from tapwire_core.services.guest_pages import make_page
from tapwire_core.services.guests import require_guest, require_guest_of_visit
from tapwire_core.services.money import require_open_shift
from tapwire_core.services.pour_recovery import require_pending, void_pending_pour
from tapwire_core.services.shown import Shown, require_as_shown
from tapwire_core.services.venues import resolve_venue


class VisitAlreadyActive(Refused):
    """The guest has an active visit."""

    code = "visit_already_active"


class VisitNotActive(Refused):
    """The visit is closed."""

    code = "visit_not_active"


class GuestUnderage(Refused):
    """The guest is under age, or the age was not checked."""

    code = "guest_underage"


class GuestBlocked(Refused):
    """The guest's account is blocked."""

    code = "guest_blocked"


class PourPending(Refused):
    """A pour of the visit has not ended yet."""

    code = "pour_pending"


class NoServingLimit(Refused):
    """The venue has no serving limit."""

    code = "no_serving_limit"


class Party(Struct, frozen=True, kw_only=True):
    """How many drink on a visit, and whether alcohol.

    `alcohol_allowed`: null takes the guest's age. `reason`: why there are more patrons than in the guest's last visit.
    """

    patrons: int = 1
    alcohol_allowed: bool | None = None
    reason: str | None = None


ALONE: Final = Party()


class OpenedVisit(Struct, frozen=True):
    """A visit, and the stages of its card."""

    visit_id: UUID
    stages: tuple[Stage, ...]


@use_case
async def open_visit(store: Store, actor: Actor, venue_id: str | None, guest_id: UUID, party: Party = ALONE) -> UUID:
    """Open a visit without a card; needs the venue's open shift and a guest of legal age, or a venue that lets minors in."""
    venue_id = await resolve_venue(store, venue_id)
    shift_id = await require_open_shift(store, venue_id)
    party = await _admit(store, venue_id, guest_id, party)
    active = await writes.active_visit_of_guest(store, guest_id)
    if active is not None:
        raise already_active(active)
    return await _open(store, actor, venue_id, shift_id, guest_id, party)


@use_case
async def open_and_assign_card(
    store: Store,
    actor: Actor,
    venue_id: str | None,
    guest_id: UUID,
    card_uid: str,
    party: Party = ALONE,
    reading: Reading | None = None,
) -> OpenedVisit:
    """Open a visit and assign a card to it, or change nothing at all. `reading`: the reader on which the card must lie."""
    venue_id = await resolve_venue(store, venue_id)
    shift_id = await require_open_shift(store, venue_id)
    card, lost = await lock_card_for_issue(store, card_uid, guest_id)
    require_on_reader(reading, card)
    said, party = party, await _admit(store, venue_id, guest_id, party)
    active = await writes.active_visit_of_guest(store, guest_id)
    bound = await bind_locked_card(store, actor, guest_id, card)
    if active is not None and active.opening_stages and _is_same_opening(active, venue_id, card.card_uid, said):
        return OpenedVisit(active.visit_id, tuple(Stage(stage) for stage in active.opening_stages))
    if active is not None:
        raise already_active(active)
    stages = (bound, Stage.ASSIGNED)
    visit_id = await _open(store, actor, venue_id, shift_id, guest_id, party, stages)
    await _assign(store, actor, visit_id, guest_id, None, card)
    if bound is Stage.BOUND:
        await replace_lost_cards(store, actor, lost)
        await take_deposit(store, actor, guest_id, card.card_uid, venue_id)
    return OpenedVisit(visit_id, stages)


@use_case
async def note_refused_issue(
    store: Store, actor: Actor, venue_id: str | None, guest_id: UUID, card_uid: str, refusal: Refused
) -> None:
    """Write the refusal of a card's issue to the venue's audit log, so that operators can see later what was tried.

    Of a visit at another venue it keeps nothing.
    """
    known = {name: str(fact) for name, fact in refusal.facts.items() if fact is not None}
    if known.get("venue_id", venue_id) != venue_id:
        known = {name: fact for name, fact in known.items() if name not in ("visit_id", "venue_id", "card_uid")}
    details = {**known, "reason": refusal.code}
    uid = None if isinstance(refusal, CardUidInvalid) else read_card_uid(card_uid)
    await store.audit(AuditAction.CARD_ISSUE_REFUSED, actor, guest_id, uid, details=details, venue_id=venue_id)


@use_case
async def assign_card(
    store: Store, actor: Actor, visit_id: UUID, card_uid: str, reading: Reading | None = None, *, shown: Shown | None = None
) -> OpenedVisit:
    """Assign a card to an active visit, in place of its old one, which stays bound to the guest. `reading`: as in opening."""
    guest_id = await writes.guest_of_visit(store, visit_id)
    if guest_id is None:
        raise NotFound("visit", visit_id)
    card, lost = await lock_card_for_issue(store, card_uid, guest_id)
    require_on_reader(reading, card)
    visit = await _require_visit(store, visit_id)
    await require_as_shown(store, shown)
    _require_open(visit)
    guest = await require_guest(store, visit.guest_id)
    if guest.blocked:
        raise GuestBlocked("The guest is blocked: unblock them first.", guest_id=visit.guest_id)
    bound = await bind_locked_card(store, actor, visit.guest_id, card)
    await _assign(store, actor, visit_id, visit.guest_id, visit.card_uid, card)
    if bound is Stage.BOUND:
        await replace_lost_cards(store, actor, lost)
        await take_deposit(store, actor, guest_id, card.card_uid, visit.venue_id)
    else:
        await replace_lost_cards(store, actor, (its for its in lost if its.card_uid == visit.card_uid))
    return OpenedVisit(visit_id, (bound, Stage.ASSIGNED))


@use_case
async def rearm(store: Store, actor: Actor, visit_id: UUID, reason: str) -> UUID:
    """Let a guest who was looked at go on: the serving limit counts anew, at the whole venue. Returns the visit's id."""
    visit = await _require_active(store, visit_id)
    await require_guest(store, visit.guest_id)
    stood_at = await writes.served_in_visit(store, visit_id)
    limit = stood_at.serving_limit
    if limit is None:
        raise NoServingLimit("The venue has no serving limit: there is nothing to re-arm.", venue_id=visit.venue_id)
    allowed = allowance(limit, visit.patrons, stood_at.used or 0)
    await writes.rearm_visit(store, visit)
    details = {
        "reason": reason,
        "measure": allowed.measure,
        "limit": allowed.limit,
        "used": allowed.used,
        "left": allowed.left,
        "patrons": visit.patrons,
    }
    subjects = (visit_id, visit.guest_id, visit.venue_id)
    await store.audit(AuditAction.SERVING_LIMIT_REARMED, actor, *subjects, details=details)
    return visit_id


@use_case
async def set_alcohol(store: Store, actor: Actor, visit_id: UUID, *, allowed: bool, reason: str) -> UUID:
    """Allow or refuse alcohol on an active visit; never allowed to a guest under age. Returns the visit's id."""
    visit = await _require_active(store, visit_id)
    await require_guest(store, visit.guest_id)
    if allowed and not await guest_writes.is_of_age(store, visit.guest_id, visit.venue_id):
        raise _underage(visit.guest_id)
    await change_row(store, Visit, {"visit_id": visit_id}, {"alcohol_allowed": allowed})
    details = {"allowed": allowed, "before": visit.alcohol_allowed, "reason": reason}
    await store.audit(AuditAction.ALCOHOL_CHANGED, actor, visit_id, visit.guest_id, visit.venue_id, details=details)
    return visit_id


@use_case
async def extend(store: Store, actor: Actor, visit_id: UUID, hours: int) -> UUID:
    """Let an active visit last longer: from its end, or from now where that has passed. Returns the visit's id.

    A visit without an end lasts until it is closed, and stays so.
    """
    visit = await _require_active(store, visit_id)
    if visit.valid_until is None:
        return visit_id
    valid_until = await writes.extend_visit(store, visit_id, hours)
    details = {"hours": hours, "before": visit.valid_until, "valid_until": valid_until}
    await store.audit(AuditAction.VISIT_EXTENDED, actor, visit_id, visit.guest_id, visit.venue_id, details=details)
    return visit_id


@use_case
async def close_visit(store: Store, actor: Actor, visit_id: UUID, pour_id: UUID | None = None) -> None:
    """Close a visit that has no pending pour; a closed one stays so. The card stays bound to the guest.

    `pour_id`: a pour that the caller takes for pending; raises `PourNotPending` when it has ended.
    """
    visit = await _require_visit(store, visit_id)
    if pour_id is not None:
        await _require_pending(store, visit_id, pour_id)
    await _close(store, actor, visit)


@use_case
async def void_and_close_visit(store: Store, actor: Actor, visit_id: UUID, pour_id: UUID | None, reason: str) -> None:
    """Void the visit's pending pour, if there is one, and close the visit; a late report charges nothing."""
    await void_pending_pour(store, actor, visit_id, pour_id, reason)
    await _close(store, actor, await _require_visit(store, visit_id))


def already_active(active: ActiveVisit) -> VisitAlreadyActive:
    """The refusal that names a guest's active visit."""
    return VisitAlreadyActive(
        "The guest already has an active visit.", visit_id=active.visit_id, venue_id=active.venue_id, card_uid=active.card_uid
    )


async def _require_pending(store: Store, visit_id: UUID, pour_id: UUID) -> None:
    """Raise unless the pour of a locked visit is pending; it can't end while the visit is locked."""
    pour = await writes.pour_of_visit(store, visit_id, pour_id)
    if pour is None:
        raise NotFound("pour of this visit", pour_id)
    require_pending(pour_id, pour.sync_status, pour.volume_ml)


async def _close(store: Store, actor: Actor, visit: LockedVisit) -> None:
    visit_id = visit.visit_id
    if visit.status is VisitStatus.CLOSED:
        return
    pours = await writes.pending_pours_of_visit(store, visit_id)
    if pours:
        raise PourPending(
            "A pour of this visit has not been reported yet: wait, reconcile it, or close with void_pending.", pour_ids=pours
        )
    await writes.close_visit(store, actor, visit_id)
    await store.audit(AuditAction.VISIT_CLOSED, actor, visit_id, visit.guest_id, visit.card_uid, visit.venue_id)


async def _admit(store: Store, venue_id: str, guest_id: UUID, party: Party) -> Party:
    """Lock the guest and require that the visit may be opened; returns the party with its alcohol decided."""
    guest = await require_guest(store, guest_id)
    if guest.blocked:
        raise GuestBlocked("The guest is blocked: unblock them first.", guest_id=guest_id)
    if await guest_writes.is_of_age(store, guest_id, venue_id):
        return replace(party, alcohol_allowed=party.alcohol_allowed is not False)
    if party.alcohol_allowed or not await minors_allowed(store, venue_id):
        raise _underage(guest_id)
    return replace(party, alcohol_allowed=False)


def _underage(guest_id: UUID) -> GuestUnderage:
    text = "The guest is under age, or has neither a birth date nor an age check: check the age and record it."
    return GuestUnderage(text, guest_id=guest_id)


def _is_same_opening(active: ActiveVisit, venue_id: str, card_uid: str, said: Party) -> bool:
    """True if an active visit is what was asked for: then it was a double click."""
    same_alcohol = said.alcohol_allowed in (None, active.alcohol_allowed)
    return (active.venue_id, active.card_uid, active.patrons) == (venue_id, card_uid, said.patrons) and same_alcohol


async def _open(
    store: Store,
    actor: Actor,
    venue_id: str,
    shift_id: UUID,
    guest_id: UUID,
    party: Party,
    stages: tuple[Stage, ...] | None = None,
) -> UUID:
    before = await writes.patrons_before(store, guest_id, venue_id)
    if before is not None and party.patrons > before and party.reason is None:
        raise ReasonRequired(
            f"The guest's last visit had {before}: say why there are more patrons now.", field="reason", patrons_before=before
        )
    visit_id = uuid4()
    await store.insert(
        Visit,
        visit_id=visit_id,
        venue_id=venue_id,
        guest_id=guest_id,
        shift_id=shift_id,
        opened_by=actor.name,
        patrons=party.patrons,
        alcohol_allowed=party.alcohol_allowed,
        valid_until=await writes.end_of_visit_opened_now(store, venue_id),
        opening_stages=None if stages is None else [stage.value for stage in stages],
    )
    await make_page(store, visit_id)
    details: dict[str, object] = {"patrons": party.patrons, "alcohol_allowed": party.alcohol_allowed}
    if party.reason is not None:
        details |= {"reason": party.reason, "patrons_before": before}
    await store.audit(AuditAction.VISIT_OPENED, actor, visit_id, guest_id, venue_id, details=details)
    return visit_id


async def _assign(
    store: Store, actor: Actor, visit_id: UUID, guest_id: UUID, earlier_card_uid: str | None, card: LockedCard
) -> None:
    """Apply the rule of assigning to a locked card that is bound to the guest."""
    holder = await card_writes.active_visit_of_card(store, card.card_uid)
    if holder is not None and holder.visit_id == visit_id:
        return
    if holder is not None:
        held = {"visit_id": holder.visit_id, "venue_id": holder.venue_id}
        raise CardBusy("The card is in use in another visit: take another card.", card_uid=card.card_uid, **held)
    await change_row(store, Visit, {"visit_id": visit_id}, {"card_uid": card.card_uid})
    details = {"earlier_card_uid": earlier_card_uid}
    await store.audit(AuditAction.CARD_ASSIGNED, actor, visit_id, card.card_uid, guest_id, details=details)


async def _require_active(store: Store, visit_id: UUID) -> LockedVisit:
    visit = await _require_visit(store, visit_id)
    _require_open(visit)
    return visit


def _require_open(visit: LockedVisit) -> None:
    if visit.status is not VisitStatus.ACTIVE:
        raise VisitNotActive("The visit is closed: open a new one.", visit_id=visit.visit_id)


async def _require_visit(store: Store, visit_id: UUID) -> LockedVisit:
    visit = await writes.lock_visit(store, visit_id)
    if visit is None:
        raise NotFound("visit", visit_id)
    if visit.status is VisitStatus.CLOSED:
        await require_guest_of_visit(store, visit_id)
    return visit
