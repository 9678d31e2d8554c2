"""Receipts: a guest's movements of money, each in exactly one sum (SYSTEM.md, "Check-out and receipt"). Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.tax import TaxRow, tax_rows


class Moved(Struct, frozen=True, kw_only=True):
    """Movements of one kind on a guest's account, added up.

    `by_incident`: booked by an incident's resolution. `is_reversal`: takes a top-up back, or gives back what was taken so.
    `tax_rate_bp`: of the pour.
    """

    debit_account: Account
    credit_account: Account
    by_incident: bool
    is_reversal: bool
    tax_rate_bp: int | None
    amount_minor: int


class Sums(Struct, frozen=True, kw_only=True):
    """The sums of a receipt in minor units, each as its name says: what was charged or paid out counts positive.

    `deposit_minor`: taken less given back. `refunds_minor` are those without the check-out, which paid `paid_out_minor`.
    """

    opening_balance_minor: int
    top_ups_minor: int
    comps_minor: int
    adjustments_minor: int
    poured_minor: int
    charges_minor: int
    reversals_minor: int
    refunds_minor: int
    deposit_minor: int
    paid_out_minor: int
    balance_minor: int


class ReceiptPour(Struct, frozen=True):
    """A pour on a receipt. `beverage`: its name at that time."""

    pour_id: UUID
    beverage: str
    volume_ml: int
    sell_price_per_liter_minor: int
    amount_minor: int
    settled_at: datetime


class Receipt(Sums, frozen=True, kw_only=True):
    """The receipt of a visit: opening + top-ups + comps + adjustments - poured - charges - reversals - refunds - paid out - deposit
    (taken less given back) = balance. Of an active visit it is as of now; a closed visit's stays as it is.
    """

    visit_id: UUID
    venue_id: str
    opened_at: datetime
    closed_at: datetime | None
    pours: tuple[ReceiptPour, ...]
    tax: tuple[TaxRow, ...]
    currency: str


def sum_up(opening_balance_minor: int, moved: Iterable[Moved], paid_out_minor: int) -> Sums:
    """Add the movements up: opening + top-ups + comps + adjustments - all the others is the balance."""
    movements = list(moved)
    sums = dict.fromkeys(_NAMES, 0)
    for movement in movements:
        sums[_name(movement)] += movement.amount_minor * _sign(movement)
    sums["refunds_minor"] -= paid_out_minor
    change_minor = sum(
        movement.amount_minor if movement.credit_account is Account.GUEST else -movement.amount_minor for movement in movements
    )
    return Sums(
        opening_balance_minor=opening_balance_minor,
        paid_out_minor=paid_out_minor,
        balance_minor=opening_balance_minor + change_minor,
        **sums,
    )


def sold(moved: Iterable[Moved]) -> list[TaxRow]:
    """What was sold to the guest, by its rate of tax."""
    return tax_rows((its.tax_rate_bp, its.amount_minor * _sign(its)) for its in moved if _name(its) in _SALES)


_SALES: Final = frozenset({"poured_minor", "charges_minor"})
_NAMES: Final = (
    "top_ups_minor",
    "comps_minor",
    "adjustments_minor",
    "poured_minor",
    "charges_minor",
    "reversals_minor",
    "refunds_minor",
    "deposit_minor",
)


def _name(moved: Moved) -> str:
    """The sum that a movement belongs to."""
    match moved.debit_account, moved.credit_account:
        case (Account.ONLINE_PAYMENT, _) | (Account.PAYMENT_LOSS, _) if moved.is_reversal:
            return "reversals_minor"
        case Account.CASH | Account.CARD | Account.ONLINE_PAYMENT, _:
            return "top_ups_minor"
        case Account.COMP, _:
            return "comps_minor"
        case _, Account.PAYMENT_LOSS:
            return "reversals_minor"
        case _, Account.CASH | Account.CARD | Account.ONLINE_PAYMENT:
            return "reversals_minor" if moved.is_reversal else "refunds_minor"
        case (Account.DEPOSIT, _) | (_, Account.DEPOSIT):
            return "deposit_minor"
        case (Account.ADJUSTMENT, _) | (_, Account.ADJUSTMENT):
            return "adjustments_minor"
        case _:
            return "charges_minor" if moved.by_incident else "poured_minor"


def _sign(moved: Moved) -> int:
    """1 where the sum counts what comes to the guest, or goes from them, and this movement does so; else -1."""
    to_guest = moved.credit_account is Account.GUEST
    adds = _name(moved) in ("top_ups_minor", "comps_minor", "adjustments_minor")
    return 1 if to_guest is adds else -1
