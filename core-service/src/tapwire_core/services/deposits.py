"""Deposits on cards (SYSTEM.md, "Check-out and receipt"): taken when a card is bound, and given back or forfeited with it.

A card keeps the amount that was taken and its venue, so that exactly this moves later, also after the venue's setting has changed.
The caller has locked the card and its guest. A deposit belongs to its venue's open shift, if there is one.
"""

from uuid import UUID

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.store import Store
from tapwire_core.db.writes import deposits as writes
from tapwire_core.db.writes import shifts as shift_writes
from tapwire_core.db.writes import venues as venue_writes
from tapwire_core.db.writes import visits as visit_writes
from tapwire_core.db.writes.cards import LockedCard
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.house_credit import HouseCredit
from tapwire_core.services.guests import require_guest
from tapwire_core.services.money import InsufficientFunds
from tapwire_core.services.venues import VenueRequired, resolve_venue


async def venue_of_binding(store: Store, guest_id: UUID, venue_id: str | None) -> str | None:
    """The venue whose deposit a card takes: the named one, else that of the guest's visit, else the only one.

    Raises `VenueRequired` where none of them is known, and a venue takes deposits.
    """
    if venue_id is not None:
        return await resolve_venue(store, venue_id)
    active = await visit_writes.active_visit_of_guest(store, guest_id)
    found = active.venue_id if active else await venue_writes.sole_venue_id(store)
    if found is None and await writes.any_venue_takes_deposits(store):
        raise VenueRequired
    return found


async def take_deposit(store: Store, actor: Actor, guest_id: UUID, card_uid: str, venue_id: str | None) -> None:
    """Move the venue's deposit from the guest to the card that was bound; raises `InsufficientFunds`."""
    deposit_minor = await writes.deposit_of_venue(store, venue_id) if venue_id is not None else 0
    if not deposit_minor:
        return
    guest = await require_guest(store, guest_id)
    if guest.available_minor < deposit_minor:
        raise InsufficientFunds(
            f"The card's deposit, {deposit_minor}, is more than the guest has available, {guest.available_minor}: top up first.",
            deposit_minor=deposit_minor,
            available_minor=guest.available_minor,
            balance_minor=guest.balance_minor,
            held_minor=guest.held_minor,
        )
    await writes.keep_deposit(store, card_uid, deposit_minor, venue_id)
    moved = (Account.GUEST, Account.DEPOSIT, deposit_minor)
    await _book(store, actor, guest_id, card_uid, venue_id, moved, AuditAction.DEPOSIT_TAKEN, -deposit_minor)


async def return_deposit(store: Store, actor: Actor, card: LockedCard) -> None:
    """Give a card's deposit back to its guest; a card without one changes nothing."""
    moved = (Account.DEPOSIT, Account.GUEST, card.deposit_minor)
    await _release(store, actor, card, moved, AuditAction.DEPOSIT_RETURNED, card.deposit_minor)


async def forfeit_deposit(store: Store, actor: Actor, card: LockedCard) -> None:
    """Keep a card's deposit for the house: the card does not come back. A card without one changes nothing."""
    moved = (Account.DEPOSIT, Account.DEPOSIT_FORFEITED, card.deposit_minor)
    await _release(store, actor, card, moved, AuditAction.DEPOSIT_FORFEITED, 0)


async def _release(
    store: Store, actor: Actor, card: LockedCard, moved: tuple[Account, Account, int], action: AuditAction, change_minor: int
) -> None:
    if not card.deposit_minor:
        return
    assert card.guest_id is not None, "a card with a deposit has a guest"
    await require_guest(store, card.guest_id)
    await writes.keep_deposit(store, card.card_uid, 0, None)
    await _book(store, actor, card.guest_id, card.card_uid, card.deposit_venue_id, moved, action, change_minor)


async def _book(
    store: Store,
    actor: Actor,
    guest_id: UUID,
    card_uid: str,
    venue_id: str | None,
    moved: tuple[Account, Account, int],
    action: AuditAction,
    change_minor: int,
) -> None:
    assert venue_id is not None, "a deposit has a venue"
    guest = await require_guest(store, guest_id)
    debit, credit, deposit_minor = moved
    shift_id = await shift_writes.open_shift_id(store, venue_id)
    changes = Changes.by(actor, venue_id=venue_id, shift_id=shift_id)
    changes.note_house_credit(guest_id, HouseCredit(guest.house_credit_minor))
    changes.move_money(debit, credit, deposit_minor, guest_id=guest_id)
    details = {
        "amount_minor": change_minor,
        "deposit_minor": deposit_minor,
        "balance_minor": guest.balance_minor + change_minor,
        "card_uid": card_uid,
    }
    changes.audit(action, guest_id, card_uid, details=details)
    await write_changes(store, changes)
