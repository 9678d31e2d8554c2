"""Tax: each rate's net and tax come from its whole sum, and add up to it to the minor unit."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from tapwire_core.domain.tax import net_of, tax_rows

RATES = st.none() | st.integers(0, 10_000)
AMOUNTS = st.integers(-(10**12), 10**12)


@given(AMOUNTS, st.integers(0, 10_000))
@example(-3, 10_000)
@example(3, 10_000)
def test_the_net_is_the_nearest_minor_unit_halves_away_from_zero(gross_minor: int, tax_rate_bp: int) -> None:
    exact = Fraction(gross_minor * 10_000, 10_000 + tax_rate_bp)
    net_minor = net_of(gross_minor, tax_rate_bp)

    assert abs(net_minor - exact) <= Fraction(1, 2)
    assert abs(net_minor) > abs(exact) or abs(net_minor - exact) != Fraction(1, 2), "a half is rounded away from zero"
    assert net_of(-gross_minor, tax_rate_bp) == -net_minor


@given(st.lists(st.tuples(RATES, AMOUNTS)))
def test_the_rows_add_up_to_what_was_sold_one_for_each_rate(sold: list[tuple[int | None, int]]) -> None:
    rows = tax_rows(sold)

    assert sum(row.gross_minor for row in rows) == sum(gross for _, gross in sold)
    assert [row.tax_rate_bp for row in rows] == sorted({rate for rate, _ in sold}, key=lambda rate: (rate is None, rate))
    for row in rows:
        if row.tax_rate_bp is None:
            assert (row.net_minor, row.tax_minor) == (None, None)
        else:
            assert row.net_minor is not None
            assert row.tax_minor is not None
            assert row.net_minor + row.tax_minor == row.gross_minor


def test_a_rate_of_zero_is_a_stated_rate() -> None:
    assert [(row.net_minor, row.tax_minor) for row in tax_rows([(0, 500), (None, 500)])] == [(500, 0), (None, None)]
