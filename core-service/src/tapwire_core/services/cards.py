"""Cards: binding, loss, and retirement."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from tapwire_contracts.card_uid import CardUidProblem, InvalidCardUid, card_uid_problem, normalize_card_uid
from tapwire_contracts.messages import StopPour
from tapwire_contracts.reasons import AuditAction, StopReason
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Card
from tapwire_core.db.writes import cards as writes
from tapwire_core.db.writes.cards import LockedCard
from tapwire_core.db.writes.rows import change_row
from tapwire_core.db.writes.search import index_cards_of_guest
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import CardStatus
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.deposits import forfeit_deposit, return_deposit, take_deposit, venue_of_binding
from tapwire_core.services.guests import require_guest


class BindConflict(Refused):
    """The card belongs to another guest."""

    code = "bind_conflict"


class LostCard(Refused):
    """The card was reported lost, or is retired."""

    code = "lost_card"


class CardBusy(Refused):
    """The card is in use in another active visit."""

    code = "card_busy"


class CardUidRandom(Refused):
    """The id is made anew at each reading, as telephones do: no later reading will give it."""

    code = "card_uid_random"


class CardUidInvalid(Refused):
    """The id is no card's: a reading error, or a wrong length."""

    code = "card_uid_invalid"


class CardNotOnReader(Refused):
    """The card does not lie on the reader from which it is to be issued."""

    code = "card_not_on_reader"


class CardNotLost(Refused):
    """Only a lost card can be restored."""

    code = "card_not_lost"


class Stage(StrEnum):
    """Stages of a card on its way into a visit."""

    BOUND = "bound"
    ALREADY_BOUND = "already_bound"
    ASSIGNED = "assigned"


@dataclass(frozen=True, slots=True)
class Reading:
    """The reader that an operator relies on, and the card on it by its newest state; None if it is offline or has no card."""

    path: str
    card_uid: str | None


@use_case
async def bind_card(store: Store, actor: Actor, guest_id: UUID, card_uid: str, venue_id: str | None = None) -> Stage:
    """Bind a card to a guest; a card that is bound to the guest already stays so.

    `venue_id`: the venue whose deposit it takes (`venue_of_binding`).
    """
    card, lost = await lock_card_for_issue(store, card_uid, guest_id)
    await require_guest(store, guest_id)
    stage = await bind_locked_card(store, actor, guest_id, card)
    if stage is Stage.BOUND:
        await replace_lost_cards(store, actor, lost)
        await take_deposit(store, actor, guest_id, card.card_uid, await venue_of_binding(store, guest_id, venue_id))
    return stage


@use_case
async def register_cards(store: Store, actor: Actor, card_uids: Sequence[str]) -> int:
    """Add cards in advance, as `available`, and return how many are new; known ones stay as they are.

    All or none: raises `CardUidRandom` and `CardUidInvalid` for one that could not be issued.
    """
    added = await writes.add_cards(store, sorted({_issuable(card_uid, "card_uids") for card_uid in card_uids}))
    if added:
        await store.audit(AuditAction.CARDS_REGISTERED, actor, details={"count": len(added), "card_uids": added})
    return len(added)


@use_case
async def unbind_card(store: Store, actor: Actor, guest_id: UUID, card_uid: str) -> None:
    """Unbind a guest's card, so that it is available again; it must be in no active visit."""
    card = await require_card(store, card_uid)
    await require_guest(store, guest_id)
    if card.guest_id != guest_id or card.status is not CardStatus.BOUND:
        raise NotFound("card of this guest", card.card_uid)
    await _unbind(store, actor, card)


@use_case
async def free_card(store: Store, actor: Actor, card_uid: str) -> None:
    """Unbind a returned card from its guest, for the next one; an available card stays so."""
    card = await require_card(store, card_uid)
    if card.status in (CardStatus.LOST, CardStatus.RETIRED):
        raise LostCard(f"The card is {card.status}: reactivate it first, or take another one.", card_status=card.status)
    if card.status is CardStatus.BOUND:
        await _unbind(store, actor, card)


@use_case
async def report_card_lost(store: Store, actor: Actor, card_uid: str, reason: str) -> None:
    """Block a lost card at once; its running pour is stopped, and settles as its tap reports it."""
    card = await require_card(store, card_uid)
    if card.status is CardStatus.RETIRED:
        raise LostCard("The card is retired and can't be used anyway.", card_status=card.status)
    await _set(store, card, CardStatus.LOST, card.guest_id)
    stopped = await writes.mark_pours_of_card_stopped(store, card.card_uid, StopReason.LOST_CARD)
    for pour in stopped:
        await store.send_command(pour.tap_path, StopPour(pour_id=pour.pour_id, reason=StopReason.LOST_CARD))
    visit = await writes.active_visit_of_card(store, card.card_uid)
    visit_id = visit.visit_id if visit else None
    pours = [pour.pour_id for pour in stopped]
    await store.audit(AuditAction.CARD_LOST, actor, card.card_uid, card.guest_id, visit_id, *pours, details={"reason": reason})


@use_case
async def restore_card(store: Store, actor: Actor, card_uid: str, reason: str) -> None:
    """Reactivate a lost card, for the same guest."""
    card = await require_card(store, card_uid)
    if card.status is not CardStatus.LOST:
        raise CardNotLost(f"The card is {card.status}, not lost.", card_status=card.status)
    await _set(store, card, CardStatus.BOUND if card.guest_id else CardStatus.AVAILABLE, card.guest_id)
    await store.audit(AuditAction.CARD_RESTORED, actor, card.card_uid, card.guest_id, details={"reason": reason})


@use_case
async def retire_card(store: Store, actor: Actor, card_uid: str, reason: str) -> None:
    """Take a card out of use for good; it must be in no active visit. A lost card's deposit is forfeited, another's goes back."""
    card = await require_card(store, card_uid)
    await _require_idle(store, card)
    if card.status is CardStatus.LOST:
        await forfeit_deposit(store, actor, card)
    else:
        await return_deposit(store, actor, card)
    await _set(store, card, CardStatus.RETIRED, None)
    await store.audit(AuditAction.CARD_RETIRED, actor, card.card_uid, card.guest_id, details={"reason": reason})


async def bind_locked_card(store: Store, actor: Actor, guest_id: UUID, card: LockedCard) -> Stage:
    """Apply the rule of binding to a locked card and a locked guest."""
    if card.status in (CardStatus.LOST, CardStatus.RETIRED):
        raise LostCard(f"The card is {card.status}: take another one.", card_uid=card.card_uid, card_status=card.status)
    if card.guest_id == guest_id:
        return Stage.ALREADY_BOUND
    if card.guest_id is not None:
        visit = await writes.active_visit_of_card(store, card.card_uid)
        facts = {"visit_id": visit.visit_id if visit else None, "venue_id": visit.venue_id if visit else None}
        raise BindConflict("The card belongs to another guest.", card_uid=card.card_uid, guest_id=card.guest_id, **facts)
    await _set(store, card, CardStatus.BOUND, guest_id)
    await store.audit(AuditAction.CARD_BOUND, actor, card.card_uid, guest_id)
    return Stage.BOUND


async def replace_lost_cards(store: Store, actor: Actor, lost: Iterable[LockedCard]) -> None:
    """Forfeit the deposits of lost cards, in place of which another one was issued."""
    for card in lost:
        await forfeit_deposit(store, actor, card)


async def lock_card_for_issue(store: Store, card_uid: str, guest_id: UUID) -> tuple[LockedCard, list[LockedCard]]:
    """Lock a card that is to be issued, and add it if it is new; raises `CardUidRandom` and `CardUidInvalid`.

    Returns the card, and the guest's lost cards with a deposit, locked too.
    """
    uid = _issuable(card_uid)
    locked = await writes.lock_card_and_lost_ones(store, uid, guest_id)
    return next(card for card in locked if card.card_uid == uid), [card for card in locked if card.card_uid != uid]


def _issuable(card_uid: str, field: str = "card_uid") -> str:
    """Normalise the id of a card that is to be issued."""
    try:
        uid = normalize_card_uid(card_uid)
    except InvalidCardUid as error:
        raise CardUidInvalid(f"This card can't be issued: {error}.", field=field) from error
    match card_uid_problem(uid):
        case CardUidProblem.RANDOM:
            raise CardUidRandom("A telephone makes a new id at each reading: take a card.", field=field, card_uid=uid)
        case CardUidProblem.INVALID:
            raise CardUidInvalid("This is no card's id: read the card again.", field=field, card_uid=uid)
        case _:
            return uid


def require_on_reader(reading: Reading | None, card: LockedCard) -> None:
    """Raise `CardNotOnReader` if the reader that the operator relies on shows another card or none."""
    if reading is not None and reading.card_uid != card.card_uid:
        raise CardNotOnReader(
            "The card does not lie on this reader: lay it on again, or type its number.",
            reader=reading.path,
            card_uid=reading.card_uid,
        )


def card_warnings(card_uid: str) -> tuple[CardUidProblem, ...]:
    """Warnings about a card that was issued."""
    problem = card_uid_problem(read_card_uid(card_uid))
    return () if problem is None else (problem,)


async def require_card(store: Store, card_uid: str) -> LockedCard:
    """Lock a known card for a change; raises `NotFound`."""
    card = await writes.lock_card(store, read_card_uid(card_uid))
    if card is None:
        raise NotFound("card", card_uid)
    return card


def read_card_uid(entered: str) -> str:
    """Normalise a card id from a person or a reader; raises `Invalid`."""
    try:
        return normalize_card_uid(entered)
    except InvalidCardUid as error:
        raise Invalid(str(error), field="card_uid") from error


async def _unbind(store: Store, actor: Actor, card: LockedCard) -> None:
    await _require_idle(store, card)
    await release_card(store, actor, card)


async def release_card(store: Store, actor: Actor, card: LockedCard) -> None:
    """Give a bound card's deposit back, and unbind it for the next guest."""
    await return_deposit(store, actor, card)
    await _set(store, card, CardStatus.AVAILABLE, None)
    await store.audit(AuditAction.CARD_UNBOUND, actor, card.card_uid, card.guest_id)


async def _require_idle(store: Store, card: LockedCard) -> None:
    visit = await writes.active_visit_of_card(store, card.card_uid)
    if visit is not None:
        text = "The card is in use: close the visit, or give it another card first."
        raise CardBusy(text, visit_id=visit.visit_id, venue_id=visit.venue_id)


async def _set(store: Store, card: LockedCard, status: CardStatus, guest_id: UUID | None) -> None:
    await change_row(store, Card, {"card_uid": card.card_uid}, {"status": status.value, "guest_id": guest_id})
    if card.guest_id != guest_id:
        for concerned in filter(None, (card.guest_id, guest_id)):
            await index_cards_of_guest(store, concerned)
