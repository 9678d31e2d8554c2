"""Bookings that several rules share: a sale with its unpaid rest, what leaves a keg without a pour. Pure."""

from collections.abc import Mapping
from uuid import UUID

from tapwire_contracts.reasons import (
    IncidentKind,
)
from tapwire_core.domain.changes import Changes, IncidentRaised, MoneyMoved, StockMoved
from tapwire_core.domain.closed_sets import Account, StockKind
from tapwire_core.domain.money import affordable_ml, charge
from tapwire_core.domain.pour_reports import PourFacts, TapNow


def share_due(volume_ml: int, sell_price_per_liter_minor: int, payable_minor: int) -> tuple[int, int]:
    """What a guest pays of a volume's charge, at most `payable_minor`, and the rest, which the house bears."""
    due_minor = charge(volume_ml, sell_price_per_liter_minor)
    amount_minor = min(due_minor, payable_minor)
    return amount_minor, due_minor - amount_minor


def book_sale(pour: PourFacts, volume_ml: int, changes: Changes) -> tuple[int, int]:
    """Book a volume's charge, at most what the guest can pay, the rest as `overpour_loss`; return both amounts."""
    amount_minor, loss_minor = share_due(volume_ml, pour.sell_price_per_liter_minor, pour.payable_minor)
    if amount_minor:
        changes.money.append(_sale(pour, Account.GUEST, amount_minor))
    if loss_minor:
        changes.money.append(_sale(pour, Account.OVERPOUR_LOSS, loss_minor))
    return amount_minor, loss_minor


def book_sold_stock(pour: PourFacts, volume_ml: int, amount_minor: int, loss_minor: int, changes: Changes) -> None:
    """Book a reported volume out of the keg: what was paid for as `sale`, the unpaid part as `overpour`."""
    unpaid_ml = volume_ml - min(volume_ml, affordable_ml(amount_minor, pour.sell_price_per_liter_minor)) if loss_minor else 0
    for kind, moved_ml in ((StockKind.SALE, volume_ml - unpaid_ml), (StockKind.OVERPOUR, unpaid_ml)):
        if moved_ml:
            changes.stock.append(StockMoved(keg_id=pour.keg_id, kind=kind, volume_ml=moved_ml, cause_id=pour.pour_id))


def raise_overdrawn(kegs: Mapping[UUID, int], changes: Changes) -> None:
    """Raise `keg_overdrawn` for each keg whose book volume goes below zero: a calibration fault, never a failing report.

    `kegs` are the book volumes before the change, in ml. Called once the change is complete: what it takes back counts as well.
    """
    for keg_id, before_ml in kegs.items():
        moved_ml = sum(moved.volume_ml for moved in changes.stock if moved.keg_id == keg_id)
        left_ml = before_ml - moved_ml
        if moved_ml > 0 and left_ml < 0:
            details = {
                "keg_id": str(keg_id),
                "book_volume_ml": left_ml,
                "hint": "check the flow meter's calibration and the keg's volume",
            }
            changes.raised.append(IncidentRaised(kind=IncidentKind.KEG_OVERDRAWN, cause=str(keg_id), details=details))


def _sale(pour: PourFacts, debit: Account, amount_minor: int) -> MoneyMoved:
    return MoneyMoved(
        debit_account=debit,
        credit_account=Account.SALES,
        amount_minor=amount_minor,
        guest_id=pour.guest_id,
        pour_id=pour.pour_id,
    )


def book_unattributed(tap: TapNow, volume_ml: int, kind: StockKind, cause_id: UUID, changes: Changes) -> None:
    """Book a volume that belongs to no pour out of the keg that is on the tap; without either there is no stock to move."""
    if volume_ml and tap.keg_id is not None:
        changes.stock.append(StockMoved(keg_id=tap.keg_id, kind=kind, volume_ml=volume_ml, cause_id=cause_id))
