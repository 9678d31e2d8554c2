"""What counts of a drawer book: property tests of `tapwire_core.domain.drawer`."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tapwire_core.domain.change_records import MoneyMoved
from tapwire_core.domain.closed_sets import Account, CashKind
from tapwire_core.domain.drawer import Drawer, book_count, move_cash, put_float

AMOUNTS = st.integers(min_value=0, max_value=10_000)


def change_of(account: Account, moved: Iterable[MoneyMoved]) -> int:
    """The change of an account's balance."""
    sides = [(one.debit_account, one.amount_minor) for one in moved] + [(one.credit_account, -one.amount_minor) for one in moved]
    return sum(amount for side, amount in sides if side is account)


def counted(drawer: Drawer, moved: list[MoneyMoved]) -> Drawer:
    """The drawer after a count's movements."""
    return Drawer(
        expected_minor=drawer.expected_minor,
        over_short_minor=drawer.over_short_minor - change_of(Account.OVER_SHORT, moved),
        deposited_minor=drawer.deposited_minor + change_of(Account.SAFE, moved),
    )


@given(
    expected=st.integers(min_value=-10_000, max_value=10_000),
    counts=st.lists(AMOUNTS, max_size=4),
    at_close=AMOUNTS,
    corrections=st.lists(AMOUNTS, max_size=4),
)
def test_however_often_it_is_counted_the_drawer_ends_at_0_and_the_safe_has_the_last_count(
    expected: int, counts: list[int], at_close: int, corrections: list[int]
) -> None:
    drawer = Drawer(expected_minor=expected)
    for amount in counts:
        drawer = counted(drawer, book_count(drawer, amount, closed=False))
        assert drawer.account_minor == amount
    for amount in (at_close, *corrections):
        drawer = counted(drawer, book_count(drawer, amount, closed=True))
        assert (drawer.account_minor, drawer.deposited_minor) == (0, amount)
        assert drawer.over_short_minor == amount - expected


@given(expected=st.integers(min_value=-10_000, max_value=10_000), amount=AMOUNTS, closed=st.booleans())
def test_a_count_again_books_nothing_and_no_movement_is_of_0(expected: int, amount: int, closed: bool) -> None:
    first = book_count(Drawer(expected_minor=expected), amount, closed=closed)

    assert all(one.amount_minor > 0 for one in first)
    assert book_count(counted(Drawer(expected_minor=expected), first), amount, closed=closed) == []


@given(amount=st.integers(min_value=1, max_value=10_000))
def test_cash_goes_the_way_that_its_kind_says(amount: int) -> None:
    into = {kind: change_of(Account.CASH, [move_cash(kind, amount)]) for kind in CashKind}

    assert into == {CashKind.PAY_IN: amount, CashKind.PAY_OUT: -amount, CashKind.DROP: -amount}
    assert change_of(Account.CASH, put_float(amount)) == amount == -change_of(Account.SAFE, put_float(amount))
