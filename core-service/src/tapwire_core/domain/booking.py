"""Bookings shared by several rules: a sale with its unpaid rest, and the stock that it takes from the keg. Pure."""

from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, StockKind
from tapwire_core.domain.house_credit import HouseCredit
from tapwire_core.domain.money import affordable_ml, charge
from tapwire_core.domain.pour_reports import PourFacts, Report
from tapwire_core.domain.pours import PourEvent, end_pour


def share_due(volume_ml: int, sell_price_per_liter_minor: int, payable_minor: int) -> tuple[int, int]:
    """Split a volume's charge into the guest's part, at most `payable_minor`, and the rest, which the venue bears."""
    due_minor = charge(volume_ml, sell_price_per_liter_minor)
    amount_minor = min(due_minor, payable_minor)
    return amount_minor, due_minor - amount_minor


def end_with_sale(
    pour: PourFacts, event: PourEvent, volume_ml: int, changes: Changes, report: Report | None = None
) -> tuple[int, int]:
    """End a pending pour with the sale of a volume; return the guest's part and the venue's.

    The guest pays up to the payable amount; the rest is booked as `overpour_loss`.
    """
    amount_minor, loss_minor = share_due(volume_ml, pour.sell_price_per_liter_minor, pour.payable_minor)
    changes.note_house_credit(pour.guest_id, HouseCredit(pour.house_credit_minor))
    for debit, due_minor in ((Account.GUEST, amount_minor), (Account.OVERPOUR_LOSS, loss_minor)):
        changes.move_money(debit, Account.SALES, due_minor, guest_id=pour.guest_id, pour_id=pour.pour_id)
    end_pour(pour, event, changes, report, volume_ml=volume_ml, amount_minor=amount_minor, loss_minor=loss_minor)
    return amount_minor, loss_minor


def book_sold_stock(pour: PourFacts, volume_ml: int, amount_minor: int, loss_minor: int, changes: Changes) -> None:
    """Book a reported volume out of the keg: the paid part as `sale`, the unpaid part as `overpour`."""
    unpaid_ml = volume_ml - min(volume_ml, affordable_ml(amount_minor, pour.sell_price_per_liter_minor)) if loss_minor else 0
    changes.move_stock(pour.keg_id, StockKind.SALE, volume_ml - unpaid_ml, cause_id=pour.pour_id)
    changes.move_stock(pour.keg_id, StockKind.OVERPOUR, unpaid_ml, cause_id=pour.pour_id)
