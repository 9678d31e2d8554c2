"""The drawer of a shift: what a count books (SYSTEM.md, "The drawer"). Pure; money in minor units.

The drawer is the account `cash` of its shift. A count books the difference to `over_short`, so that the account has what was
counted; once the shift is closed, what was counted goes to `safe`, and the account ends at 0.
"""

from collections.abc import Iterator

from msgspec import Struct

from tapwire_core.domain.change_records import MoneyMoved
from tapwire_core.domain.closed_sets import Account, CashKind


class Drawer(Struct, frozen=True, kw_only=True):
    """A shift's drawer by the books.

    `expected_minor`: what came in less what went out. Booked by counts are `over_short_minor` and, to the safe, `deposited_minor`.
    """

    expected_minor: int = 0
    over_short_minor: int = 0
    deposited_minor: int = 0

    @property
    def account_minor(self) -> int:
        """The balance of the shift's account `cash`."""
        return self.expected_minor + self.over_short_minor - self.deposited_minor


def book_count(drawer: Drawer, counted_minor: int, *, closed: bool) -> list[MoneyMoved]:
    """The movements by which the books follow a count; none where it changes nothing. `closed`: the shift is, or is being."""
    over_minor = counted_minor - drawer.expected_minor - drawer.over_short_minor
    moved = [*_move(Account.CASH, Account.OVER_SHORT, over_minor)]
    if closed:
        moved += _move(Account.SAFE, Account.CASH, counted_minor - drawer.deposited_minor)
    return moved


def move_cash(kind: CashKind, amount_minor: int) -> MoneyMoved:
    """The movement of a pay-in, pay-out or drop."""
    debit, credit = {
        CashKind.PAY_IN: (Account.CASH, Account.PAY_IN),
        CashKind.PAY_OUT: (Account.PAY_OUT, Account.CASH),
        CashKind.DROP: (Account.SAFE, Account.CASH),
    }[kind]
    return MoneyMoved(debit_account=debit, credit_account=credit, amount_minor=amount_minor)


def put_float(float_minor: int) -> list[MoneyMoved]:
    """The movement of a float from the safe; none for 0."""
    return [*_move(Account.CASH, Account.SAFE, float_minor)]


def _move(debit: Account, credit: Account, amount_minor: int) -> Iterator[MoneyMoved]:
    """A movement whose direction follows the amount's sign; none for 0."""
    if amount_minor < 0:
        debit, credit, amount_minor = credit, debit, -amount_minor
    if amount_minor:
        yield MoneyMoved(debit_account=debit, credit_account=credit, amount_minor=amount_minor)
