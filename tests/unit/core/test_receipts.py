"""The sums of a receipt, for any movements."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.receipts import Moved, sold, sum_up

PAIRS: Final = (
    (Account.CASH, Account.GUEST),
    (Account.CARD, Account.GUEST),
    (Account.COMP, Account.GUEST),
    (Account.ADJUSTMENT, Account.GUEST),
    (Account.GUEST, Account.ADJUSTMENT),
    (Account.GUEST, Account.SALES),
    (Account.GUEST, Account.CASH),
    (Account.GUEST, Account.CARD),
    (Account.GUEST, Account.DEPOSIT),
    (Account.DEPOSIT, Account.GUEST),
)
RATES: Final = st.none() | st.sampled_from([0, 700, 1_900, 2_100, 10_000])
AMOUNTS: Final = st.integers(1, 1_000_000)


@st.composite
def movements(draw: st.DrawFn) -> Moved:
    debit, credit = draw(st.sampled_from(PAIRS))
    is_sale, gives_back = credit is Account.SALES, credit in (Account.CASH, Account.CARD)
    return Moved(
        debit_account=debit,
        credit_account=credit,
        by_incident=is_sale and draw(st.booleans()),
        is_reversal=gives_back and draw(st.booleans()),
        tax_rate_bp=draw(RATES) if is_sale else None,
        amount_minor=draw(AMOUNTS),
    )


@given(st.integers(0, 1_000_000), st.lists(movements(), max_size=30), st.none() | AMOUNTS)
def test_a_receipt_adds_up_to_the_balance_and_its_tax_to_what_was_sold(
    opening_minor: int, moved: list[Moved], paid_out_minor: int | None
) -> None:
    payout = [_refund(paid_out_minor)] if paid_out_minor else []

    sums = sum_up(opening_minor, [*moved, *payout], paid_out_minor or 0)

    comes = sums.opening_balance_minor + sums.top_ups_minor + sums.comps_minor + sums.adjustments_minor
    goes = sums.poured_minor + sums.charges_minor + sums.reversals_minor + sums.refunds_minor
    assert comes - goes - sums.paid_out_minor - sums.deposit_minor == sums.balance_minor
    signed = (its.amount_minor if its.credit_account is Account.GUEST else -its.amount_minor for its in [*moved, *payout])
    assert sums.balance_minor == opening_minor + sum(signed)
    rows = sold(moved)
    assert sum(row.gross_minor for row in rows) == sums.poured_minor + sums.charges_minor
    assert len({row.tax_rate_bp for row in rows}) == len(rows)
    assert all(row.tax_rate_bp is None or row.gross_minor == (row.net_minor or 0) + (row.tax_minor or 0) for row in rows)


def test_each_movement_is_in_the_sum_of_its_kind() -> None:
    moved = [
        _moved(Account.CASH, Account.GUEST, 1),
        _moved(Account.COMP, Account.GUEST, 10),
        _moved(Account.GUEST, Account.ADJUSTMENT, 100),
        _moved(Account.GUEST, Account.SALES, 1_000),
        _moved(Account.GUEST, Account.SALES, 10_000, by_incident=True),
        _moved(Account.GUEST, Account.CARD, 100_000, is_reversal=True),
        _moved(Account.GUEST, Account.CASH, 1_000_000),
        _refund(7),
        _moved(Account.GUEST, Account.DEPOSIT, 10_000_000),
        _moved(Account.DEPOSIT, Account.GUEST, 5),
    ]

    sums = sum_up(0, moved, 7)

    assert (sums.top_ups_minor, sums.comps_minor, sums.adjustments_minor) == (1, 10, -100)
    assert (sums.poured_minor, sums.charges_minor, sums.reversals_minor) == (1_000, 10_000, 100_000)
    assert (sums.refunds_minor, sums.paid_out_minor, sums.deposit_minor) == (1_000_000, 7, 9_999_995)


def _moved(debit: Account, credit: Account, amount_minor: int, *, by_incident: bool = False, is_reversal: bool = False) -> Moved:
    return Moved(
        debit_account=debit,
        credit_account=credit,
        by_incident=by_incident,
        is_reversal=is_reversal,
        tax_rate_bp=None,
        amount_minor=amount_minor,
    )


def _refund(amount_minor: int) -> Moved:
    return _moved(Account.GUEST, Account.CASH, amount_minor)
