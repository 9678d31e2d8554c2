"""Payments by guests at a provider: the transactions (SYSTEM.md, "Payments by telephone"). The calls are in `payment_requests`."""

from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4, uuid5

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import moves_money, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import guests as guest_writes
from tapwire_core.db.writes import payments as writes
from tapwire_core.db.writes import shifts as shift_writes
from tapwire_core.db.writes.guests import LockedGuest
from tapwire_core.db.writes.payments import AskedPayment, DueRefund, OpenedPayment, PaymentQuestion
from tapwire_core.db.writes.visits import lock_visit
from tapwire_core.domain.actor import CORE, Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, PaymentProviderName, VisitStatus
from tapwire_core.domain.payment_facts import PaymentChanges, ProviderPayment
from tapwire_core.domain.payments import is_same_payment, refunds_at_check_out, refuse
from tapwire_core.domain.payments import take_in as take_in_by_rule
from tapwire_core.errors import Refused
from tapwire_core.services.guest_pages import find_guest, unknown_page
from tapwire_core.services.guests import require_guest
from tapwire_core.services.idempotency import IdempotencyKeyReused
from tapwire_core.services.money import Till
from tapwire_core.services.visits import GuestBlocked, VisitNotActive

PENDING_AT_ONCE: Final = 10
"""Pending payments that one guest may have."""
DOUBLE_CLICK: Final = timedelta(seconds=30)
"""Time in which the same amount again is the same payment, without an `Idempotency-Key`."""
AT_ONCE: Final = 20
"""Payments or refunds that a worker takes at once."""


class PaymentsOff(Refused):
    """No payment provider is configured."""

    code = "payments_off"


class TopUpLimit(Refused):
    """The amount is below or above what can be paid at once."""

    code = "top_up_limit"


class BalanceLimit(Refused):
    """The amount would bring the balance above what the venue allows."""

    code = "balance_limit"


class TooManyPayments(Refused):
    """The guest has begun too many payments without paying."""

    code = "too_many_payments"


class TakenIn(StrEnum):
    """What became of a provider's word."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    """No payment of ours."""
    OTHER = "other"
    """A payment of ours, of which the provider says something else than was begun."""


@use_case
async def open_payment(
    store: Store, provider: PaymentProviderName, token: str, amount_minor: int, key: str | None = None
) -> OpenedPayment:
    """Write a payment down that the guest of a page begins; the same `key` again is the same payment.

    Raises `NotFound` for an unknown page, `VisitNotActive`, `GuestBlocked`, `TopUpLimit`, `BalanceLimit` and `TooManyPayments`.
    """
    page = await find_guest(store, token)
    visit = await lock_visit(store, page.visit_id)
    if visit is None:
        raise unknown_page()
    guest = await require_guest(store, visit.guest_id)
    payment_id = uuid4() if key is None else uuid5(visit.visit_id, key)
    before = await writes.read_payment(store, payment_id) if key is not None else None
    if before is None and key is None:
        before = await writes.pending_payment(store, provider, visit.visit_id, amount_minor, DOUBLE_CLICK)
    if before is not None:
        if before.amount_minor != amount_minor:
            raise IdempotencyKeyReused("This Idempotency-Key was used with another amount: send a new key.")
        return before
    if visit.status is not VisitStatus.ACTIVE:
        raise VisitNotActive("The visit has ended.")
    await _require_payable(store, guest, visit.venue_id, amount_minor)
    return await writes.insert_payment(
        store,
        payment_id=payment_id,
        provider=provider,
        guest_id=guest.guest_id,
        visit_id=visit.visit_id,
        venue_id=visit.venue_id,
        amount_minor=amount_minor,
    )


@use_case
async def keep_checkout(store: Store, payment_id: UUID, provider_id: str, url: str) -> None:
    """Keep where a payment is paid."""
    await writes.keep_checkout(store, payment_id, provider_id, url)


@use_case
@moves_money
async def take_in(store: Store, provider: PaymentProviderName, said: ProviderPayment) -> TakenIn:
    """Take in what a provider says of a payment, from its signed notification or by asking; what is known changes nothing."""
    found = await writes.find_payment(store, provider, said)
    if found is None:
        return TakenIn.UNKNOWN
    await guest_writes.lock_guest(store, found.guest_id)
    payment = await writes.lock_payment(store, found.payment_id)
    shift_id = await shift_writes.open_shift_id(store, found.venue_id)
    changes = Changes.by(CORE, venue_id=found.venue_id, shift_id=shift_id)
    is_same = is_same_payment(payment, said, store.policy.currency)
    written = (take_in_by_rule if is_same else refuse)(payment, said, changes)
    if written is not None:
        await _write(store, payment.payment_id, written)
    await write_changes(store, changes)
    return TakenIn.KNOWN if is_same else TakenIn.OTHER


@use_case
async def ask_soon(store: Store, provider: PaymentProviderName, said: ProviderPayment) -> PaymentQuestion | None:
    """Have the job ask about the payment that a provider speaks of; None for one that is not ours, or not known by that."""
    found = await writes.find_payment(store, provider, said)
    return PaymentQuestion(found.payment_id, await writes.ask_soon(store, found.payment_id)) if found is not None else None


@use_case
async def end_question(store: Store, question: PaymentQuestion) -> None:
    """The provider has answered; a payment that is still pending is asked about again."""
    await writes.end_question(store, question)


@use_case
async def claim_questions(store: Store, provider: PaymentProviderName, first: timedelta) -> list[AskedPayment]:
    """Take payments to ask the provider about; other workers take others."""
    return await writes.claim_questions(store, provider, AT_ONCE, first)


@use_case
async def end_unbegun(store: Store, payment_id: UUID) -> None:
    """End a pending payment of which the provider knows nothing."""
    await writes.expire_unbegun(store, payment_id)


@use_case
async def claim_refunds(store: Store, provider: PaymentProviderName, first: timedelta) -> list[DueRefund]:
    """Take refunds to ask the provider for; other workers take others."""
    return await writes.claim_refunds(store, provider, AT_ONCE, first)


@use_case
async def note_failure(store: Store, return_id: UUID, failure: str) -> None:
    """Keep what the provider said to a refund that it did not make."""
    await writes.note_failure(store, return_id, failure)


@use_case
@moves_money
async def restore_payment(store: Store, provider: PaymentProviderName, said: ProviderPayment) -> bool:
    """Write a payment down that a restored database lacks; False where its guest or visit is lacking too, or it is no one's."""
    ids = (said.payment_id, said.guest_id, said.visit_id, said.venue_id)
    if None in ids or said.currency != store.policy.currency or said.amount_minor < 1:
        return False
    return await writes.restore_payment(store, provider, said)


async def paid_online(store: Store, guest_id: UUID) -> int:
    """What came from a guest through a provider and has not gone back."""
    return sum(left_minor for _, left_minor in await writes.left_of_payments(store, guest_id))


async def pay_back(
    store: Store, actor: Actor, till: Till, guest: LockedGuest, amount_minor: int, reason: str, visit_id: UUID
) -> None:
    """Give a locked guest an amount back through the provider, of what came through it; part of a check-out.

    The refunds are written down with their bookings; the job asks the provider for them afterwards.
    """
    balance_minor = guest.balance_minor
    changes = Changes.by(actor, venue_id=till.venue_id, shift_id=till.shift_id)
    left = await writes.left_of_payments(store, guest.guest_id)
    for payment_id, refund in refunds_at_check_out(visit_id, amount_minor, left):
        await writes.write_return(store, payment_id, refund)
        changes.move_money(
            Account.GUEST,
            Account.ONLINE_PAYMENT,
            refund.amount_minor,
            guest_id=guest.guest_id,
            payment_id=payment_id,
            payment_return_id=refund.return_id,
            reason=reason,
        )
        balance_minor -= refund.amount_minor
        details = {
            "amount_minor": -refund.amount_minor,
            "balance_minor": balance_minor,
            "reason": reason,
            "method": Account.ONLINE_PAYMENT,
        }
        changes.audit(AuditAction.REFUND, guest.guest_id, visit_id, payment_id, details=details)
    await write_changes(store, changes)


async def _require_payable(store: Store, guest: LockedGuest, venue_id: str, amount_minor: int) -> None:
    limits = store.policy
    if guest.blocked:
        raise GuestBlocked("The account is blocked: ask at the counter.")
    if not limits.payment_min_minor <= amount_minor <= limits.payment_max_minor:
        raise TopUpLimit(
            f"The amount must be {limits.payment_min_minor} to {limits.payment_max_minor} minor units.",
            min_minor=limits.payment_min_minor,
            max_minor=limits.payment_max_minor,
        )
    max_minor = await writes.max_balance(store, venue_id)
    if max_minor is not None and guest.balance_minor + amount_minor > max_minor:
        raise BalanceLimit(
            f"The balance may be at most {max_minor} minor units.",
            max_balance_minor=max_minor,
            left_minor=max(0, max_minor - guest.balance_minor),
        )
    if await writes.count_pending(store, guest.guest_id) >= PENDING_AT_ONCE:
        raise TooManyPayments("Too many payments were begun and not paid: wait until they have expired.")


async def _write(store: Store, payment_id: UUID, written: PaymentChanges) -> None:
    """Write a payment and its returns, before the movements that name them."""
    await writes.write_payment(store, payment_id, written)
    for its in written.returns.values():
        await writes.write_return(store, payment_id, its)
