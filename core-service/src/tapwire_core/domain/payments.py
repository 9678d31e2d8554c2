"""Payments at a provider: what the provider's word does to the books (SYSTEM.md, "Payments by telephone"). Pure.

A provider says the same things again, late and in any order. Each of its words can only add: a payment was paid, a refund or a
dispute took money back, a dispute was won. So any order of them ends in the same books.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID, uuid5

from tapwire_contracts.reasons import AuditAction, IncidentKind, Resolution
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, PaymentStatus, ReturnCause, ReturnStatus
from tapwire_core.domain.payment_facts import (
    REVERSALS,
    UNBOOKED,
    KnownReturn,
    PaymentChanges,
    PaymentFacts,
    ProviderPayment,
    ProviderReturn,
    ReturnWritten,
)

WON_BACK: Final = "The provider gave the money back."


def is_same_payment(payment: PaymentFacts, said: ProviderPayment, currency: str) -> bool:
    """Return whether the provider speaks of this payment: another page to pay, amount or currency is not ours."""
    ours = said.payment_id in (None, payment.payment_id)
    return ours and _is_same_page(payment, said) and (said.amount_minor, said.currency) == (payment.amount_minor, currency)


def _is_same_page(payment: PaymentFacts, said: ProviderPayment) -> bool:
    return None in (said.provider_id, payment.provider_id) or said.provider_id == payment.provider_id


def refuse(payment: PaymentFacts, said: ProviderPayment, changes: Changes) -> PaymentChanges | None:
    """Refuse the word of another payment than was begun: an incident while money of it is at the provider, which a person refunds.

    Returns what changes of the payment: one that was paid wrongly waits for nothing any longer.
    """
    left_minor = said.amount_minor - sum(its.amount_minor for its in said.returns if its.stands)
    if said.status is not PaymentStatus.PAID or left_minor < 1:
        return None
    why = (
        f"The provider has {left_minor} {said.currency} of {said.provider_id or said.charge_id}; begun was "
        f"{payment.amount_minor} on {payment.provider_id}, in minor units. None of it is in the books: refund it at the provider."
    )
    details = {
        "payment_id": str(payment.payment_id),
        "guest_id": str(payment.guest_id),
        "begun_minor": payment.amount_minor,
        "paid_minor": left_minor,
        "paid_currency": said.currency,
        "why": why,
    }
    changes.raise_incident(IncidentKind.PAYMENT_MISMATCH, str(payment.payment_id), details)
    if payment.is_paid or not _is_same_page(payment, said):
        return None
    return PaymentChanges(
        status=PaymentStatus.EXPIRED, booked_minor=0, provider_id=payment.provider_id, charge_id=payment.charge_id
    )


def take_in(payment: PaymentFacts, said: ProviderPayment, changes: Changes) -> PaymentChanges:
    """Take in what a provider says of a payment; what is known already changes nothing."""
    written = PaymentChanges(
        status=payment.status,
        booked_minor=payment.booked_minor,
        provider_id=payment.provider_id or said.provider_id,
        charge_id=payment.charge_id or said.charge_id,
    )
    account = _Account(payment, changes)
    is_paid = payment.is_paid or said.status is PaymentStatus.PAID or any(its.amount_minor > 0 for its in said.returns)
    if not is_paid:
        if said.status is PaymentStatus.EXPIRED:
            written.status = PaymentStatus.EXPIRED
        return written
    if not payment.is_paid:
        _book(payment, account, written, changes)
    known = {its.provider_id: its for its in payment.returns if its.provider_id} | {its.return_id: its for its in payment.returns}
    for its in said.returns:
        if its.amount_minor < 1:
            continue  # nothing went back, and a row of nothing is no row
        before = known.get(its.provider_id) or (known.get(its.return_id) if its.return_id else None)
        if before is None:
            _take_back(payment, its, account, written, changes)
        else:
            _follow(payment, before, its, account, written, changes)
    written.status = status_of(payment.amount_minor, _returns_after(payment, written))
    return written


def refunds_at_check_out(
    visit_id: UUID, amount_minor: int, left_by_payment: Iterable[tuple[UUID, int]]
) -> list[tuple[UUID, ReturnWritten]]:
    """The refunds by which an amount goes back through the provider: of which payment, and what; the first payments first."""
    refunds: list[tuple[UUID, ReturnWritten]] = []
    for payment_id, left_minor in left_by_payment:
        part_minor = min(left_minor, amount_minor - sum(refund.amount_minor for _, refund in refunds))
        if part_minor > 0:
            refunds.append((payment_id, _refund(payment_id, ReturnCause.CHECK_OUT, part_minor, visit_id)))
    return refunds


def status_of(amount_minor: int, returns: Iterable[tuple[ReturnCause, ReturnStatus, int]]) -> PaymentStatus:
    """The state of a paid payment: reversed while a reversal stands, refunded when all of it went back by refunds of ours."""
    refunded_minor = 0
    for cause, status, returned_minor in returns:
        if status is ReturnStatus.DONE and cause in REVERSALS:
            return PaymentStatus.REVERSED
        if status is ReturnStatus.DONE:
            refunded_minor += returned_minor
    return PaymentStatus.REFUNDED if refunded_minor >= amount_minor else PaymentStatus.PAID


class _Account:
    """The guest's account while several bookings of one payment are made on it."""

    def __init__(self, payment: PaymentFacts, changes: Changes) -> None:
        self._payment, self._changes = payment, changes
        self.balance_minor, self.available_minor = payment.balance_minor, payment.available_minor

    def move(
        self, debit: Account, credit: Account, amount_minor: int, return_id: UUID | None = None, reason: str | None = None
    ) -> None:
        """Book a movement of the payment, or of its return `return_id`; also one that leaves the guest's account alone."""
        self._changes.move_money(
            debit,
            credit,
            amount_minor,
            guest_id=self._payment.guest_id,
            payment_id=self._payment.payment_id,
            payment_return_id=return_id,
            reason=reason,
        )
        sign = (credit is Account.GUEST) - (debit is Account.GUEST)
        self.balance_minor += sign * amount_minor
        self.available_minor += sign * amount_minor


def _book(payment: PaymentFacts, account: _Account, written: PaymentChanges, changes: Changes) -> None:
    """Credit a payment that is paid now; what the guest may not have is refunded."""
    cause, room_minor = ReturnCause.OVER_LIMIT, payment.amount_minor
    if payment.is_erased:
        cause, room_minor = ReturnCause.GUEST_ERASED, 0
    elif payment.is_blocked:
        cause, room_minor = ReturnCause.GUEST_BLOCKED, 0
    elif payment.room_minor is not None:
        room_minor = min(max(payment.room_minor, 0), payment.amount_minor)
    account.move(Account.ONLINE_PAYMENT, Account.GUEST, room_minor)
    beyond_minor = payment.amount_minor - room_minor
    if beyond_minor:
        refund = _refund(payment.payment_id, cause, beyond_minor)
        written.returns[refund.return_id] = refund
    written.booked_minor = room_minor
    details = {
        "amount_minor": room_minor,
        "paid_minor": payment.amount_minor,
        "balance_minor": account.balance_minor,
        "method": Account.ONLINE_PAYMENT,
        "refund_due_minor": beyond_minor,
        "cause": cause if beyond_minor else None,
    }
    changes.audit(AuditAction.PAYMENT_PAID, payment.guest_id, payment.payment_id, details=details)
    if payment.is_paid_out:
        _give_back(payment, room_minor, ReturnCause.CHECK_OUT, account, written, changes)


def _take_back(payment: PaymentFacts, said: ProviderReturn, account: _Account, written: PaymentChanges, changes: Changes) -> None:
    """Book what the provider took back: from the guest up to available, the rest is the venue's loss."""
    return_id = _return_id(payment.payment_id, said.cause, said.provider_id)
    status = ReturnStatus.DONE if said.stands else ReturnStatus.WON
    written.returns[return_id] = ReturnWritten(
        return_id=return_id,
        cause=said.cause,
        provider_id=said.provider_id,
        amount_minor=said.amount_minor,
        status=status,
    )
    if not said.stands:
        return
    charged_minor = max(0, min(said.amount_minor, account.available_minor, written.booked_minor))
    loss_minor = said.amount_minor - charged_minor
    account.move(Account.GUEST, Account.ONLINE_PAYMENT, charged_minor, return_id, said.cause)
    account.move(Account.PAYMENT_LOSS, Account.ONLINE_PAYMENT, loss_minor, return_id, said.cause)
    details = {
        "payment_id": str(payment.payment_id),
        "guest_id": str(payment.guest_id),
        "cause": said.cause,
        "amount_minor": -charged_minor,
        "reversed_minor": said.amount_minor,
        "loss_minor": loss_minor,
        "balance_minor": account.balance_minor,
        "won_back": False,
    }
    changes.audit(AuditAction.PAYMENT_REVERSED, payment.guest_id, payment.payment_id, details=details)
    if loss_minor:
        changes.raise_incident(
            IncidentKind.PAYMENT_REVERSED,
            str(return_id),
            {
                "payment_id": str(payment.payment_id),
                "payment_return_id": str(return_id),
                "guest_id": str(payment.guest_id),
                "cause": said.cause,
                "reversed_minor": said.amount_minor,
                "value_minor": loss_minor,
            },
        )


def _follow(
    payment: PaymentFacts,
    before: KnownReturn,
    said: ProviderReturn,
    account: _Account,
    written: PaymentChanges,
    changes: Changes,
) -> None:
    """Follow a known return: a refund of ours is done or has failed, a reversal was won back."""
    if before.cause in REVERSALS:
        status = before.status if said.stands or before.status is ReturnStatus.WON else ReturnStatus.WON
    elif before.status is ReturnStatus.FAILED:
        status = before.status
    else:
        status = ReturnStatus.DONE if said.stands else ReturnStatus.FAILED
    if status is before.status and before.provider_id is not None:
        return
    written.returns[before.return_id] = ReturnWritten(
        return_id=before.return_id,
        cause=before.cause,
        provider_id=said.provider_id,
        amount_minor=before.amount_minor,
        status=status,
    )
    if status is before.status:
        return
    if status is ReturnStatus.DONE:
        details = {"cause": before.cause, "refunded_minor": before.amount_minor}
        changes.audit(AuditAction.PAYMENT_REFUNDED, payment.guest_id, payment.payment_id, details=details)
        return
    _undo(before, account)
    if before.cause in REVERSALS:
        details = {
            "payment_id": str(payment.payment_id),
            "guest_id": str(payment.guest_id),
            "cause": before.cause,
            "amount_minor": before.of_guest_minor,
            "reversed_minor": -before.amount_minor,
            "balance_minor": account.balance_minor,
            "won_back": True,
        }
        changes.audit(AuditAction.PAYMENT_REVERSED, payment.guest_id, payment.payment_id, details=details)
        if payment.is_erased:
            _give_back(payment, before.of_guest_minor, ReturnCause.GUEST_ERASED, account, written, changes, before.return_id)
    else:
        _note_failed(payment, before, account, changes)
    if before.incident_id is not None:
        subject = IncidentKind.PAYMENT_REVERSED
        changes.resolve_incident(before.incident_id, subject, Resolution.NO_ACTION, WON_BACK, payment.guest_id)


def _give_back(
    payment: PaymentFacts,
    amount_minor: int,
    reason: ReturnCause,
    account: _Account,
    written: PaymentChanges,
    changes: Changes,
    key: UUID | None = None,
) -> None:
    """Refund what nobody is there to ask for: the guest was erased, or was paid out and left."""
    if not amount_minor:
        return
    refund = _refund(payment.payment_id, ReturnCause.CHECK_OUT, amount_minor, key)
    written.returns[refund.return_id] = refund
    account.move(Account.GUEST, Account.ONLINE_PAYMENT, amount_minor, refund.return_id, reason)
    details = {
        "amount_minor": -amount_minor,
        "balance_minor": account.balance_minor,
        "reason": reason,
        "method": Account.ONLINE_PAYMENT,
    }
    changes.audit(AuditAction.REFUND, payment.guest_id, payment.payment_id, details=details)


def _note_failed(payment: PaymentFacts, before: KnownReturn, account: _Account, changes: Changes) -> None:
    """A refund of ours came back: it is the guest's, also what was beyond a limit.

    What an erased guest would have, the house keeps: nobody can ask for it, or be sent it.
    """
    given_minor = before.of_guest_minor
    if before.cause in UNBOOKED:
        given_minor = before.amount_minor
        account.move(Account.ONLINE_PAYMENT, Account.GUEST, given_minor, before.return_id, before.cause)
    kept_minor = given_minor if payment.is_erased else 0
    account.move(Account.GUEST, Account.PAYMENT_LOSS, kept_minor, before.return_id, ReturnCause.GUEST_ERASED)
    details = {
        "cause": before.cause,
        "refunded_minor": -before.amount_minor,
        "kept_minor": kept_minor,
        "balance_minor": account.balance_minor,
    }
    changes.audit(AuditAction.PAYMENT_REFUNDED, payment.guest_id, payment.payment_id, details=details)


def _undo(before: KnownReturn, account: _Account) -> None:
    """Reverse the movements of a return: the money is with the venue again."""
    for its in before.moved:
        account.move(its.credit_account, its.debit_account, its.amount_minor, before.return_id, before.cause)


def _returns_after(payment: PaymentFacts, written: PaymentChanges) -> list[tuple[ReturnCause, ReturnStatus, int]]:
    states = {its.return_id: (its.cause, its.status, its.amount_minor) for its in payment.returns}
    states |= {its.return_id: (its.cause, its.status, its.amount_minor) for its in written.returns.values()}
    return list(states.values())


def _refund(payment_id: UUID, cause: ReturnCause, amount_minor: int, key: UUID | None = None) -> ReturnWritten:
    return ReturnWritten(
        return_id=_return_id(payment_id, cause, key),
        cause=cause,
        provider_id=None,
        amount_minor=amount_minor,
        status=ReturnStatus.DUE,
    )


def _return_id(payment_id: UUID, cause: ReturnCause, key: object) -> UUID:
    """The id of a return follows from what it is of, so that it can't be written twice. A refund has it at the provider too."""
    return uuid5(payment_id, f"{cause} {key or ''}")
