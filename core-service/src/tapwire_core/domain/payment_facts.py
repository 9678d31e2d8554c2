"""A payment as the provider states it, as the books have it, and what changes of it (SYSTEM.md, "Payments by telephone"). Pure."""

from typing import Final
from uuid import UUID

from msgspec import Struct

from tapwire_core.domain.closed_sets import Account, PaymentStatus, ReturnCause, ReturnStatus

REVERSALS: Final = frozenset({ReturnCause.DISPUTE, ReturnCause.REFUND})
"""Causes by which the provider takes money back; the others are refunds of ours through it."""
UNBOOKED: Final = frozenset({ReturnCause.OVER_LIMIT, ReturnCause.GUEST_BLOCKED, ReturnCause.GUEST_ERASED})
"""Causes of refunds of money that was never credited to the guest."""


class ProviderReturn(Struct, frozen=True, kw_only=True):
    """A refund or dispute, as the provider states it. `return_id`: ours, of a refund that we asked for.

    `stands`: the money went back; False: it is with the venue again (a dispute won, a refund that failed).
    """

    provider_id: str
    cause: ReturnCause
    amount_minor: int
    stands: bool
    return_id: UUID | None = None


class ProviderPayment(Struct, frozen=True, kw_only=True):
    """A payment, as the provider states it: `status` is pending, paid or expired. `payment_id`: ours, if it began here.

    `guest_id`, `visit_id` and `venue_id` are what we gave it at the beginning, for a payment that a restored database lacks.
    """

    provider_id: str | None
    charge_id: str | None
    payment_id: UUID | None
    status: PaymentStatus
    amount_minor: int
    currency: str
    returns: tuple[ProviderReturn, ...] = ()
    guest_id: UUID | None = None
    visit_id: UUID | None = None
    venue_id: str | None = None


class Moved(Struct, frozen=True):
    """A movement of a return."""

    debit_account: Account
    credit_account: Account
    amount_minor: int


class KnownReturn(Struct, frozen=True, kw_only=True):
    """A return in our books, with its movements and its unresolved incident."""

    return_id: UUID
    cause: ReturnCause
    provider_id: str | None
    amount_minor: int
    status: ReturnStatus
    moved: tuple[Moved, ...] = ()
    incident_id: UUID | None = None

    @property
    def of_guest_minor(self) -> int:
        """What it took from the guest."""
        return sum(its.amount_minor for its in self.moved if its.debit_account is Account.GUEST)


class PaymentFacts(Struct, frozen=True, kw_only=True):
    """A payment under its lock, and its guest's account under that guest's.

    `room_minor`: what the venue's `max_balance_minor` leaves; null without one. `is_paid_out`: the visit that it was begun in was
    checked out with a payout, and the guest has not come back since.
    """

    payment_id: UUID
    guest_id: UUID
    status: PaymentStatus
    amount_minor: int
    booked_minor: int
    provider_id: str | None
    charge_id: str | None
    returns: tuple[KnownReturn, ...]
    balance_minor: int
    available_minor: int
    room_minor: int | None
    is_blocked: bool
    is_erased: bool
    is_paid_out: bool

    @property
    def is_paid(self) -> bool:
        """True once the provider has said so."""
        return self.status not in (PaymentStatus.PENDING, PaymentStatus.EXPIRED)


class ReturnWritten(Struct, frozen=True, kw_only=True):
    """A return to write: a new one, or the new state of a known one."""

    return_id: UUID
    cause: ReturnCause
    provider_id: str | None
    amount_minor: int
    status: ReturnStatus


class PaymentChanges(Struct, kw_only=True):
    """What the provider's word changes: the payment's columns, its returns, and the books."""

    status: PaymentStatus
    booked_minor: int
    provider_id: str | None
    charge_id: str | None
    returns: dict[UUID, ReturnWritten] = {}
