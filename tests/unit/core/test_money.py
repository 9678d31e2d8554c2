"""The two formulas of money and volume: no grant can be worth more than what there is."""

from hypothesis import example, given
from hypothesis import strategies as st

from tapwire_core.domain.money import ML_PER_LITER, affordable_ml, charge

amounts_minor = st.integers(0, 10**12)
prices_minor = st.integers(1, 10**9)
volumes_ml = st.integers(0, 10**7)


@given(amounts_minor, prices_minor)
@example(1, 1)
@example(1, 3)
@example(1, 999)
@example(2, 1_001)
@example(1, 1_999)
def test_what_an_amount_affords_never_costs_more_than_the_amount(available_minor: int, price_minor: int) -> None:
    """`v × p ≤ a × 1000` by the floor, so `(v × p + 500) ÷ 1000` rounds to `a` at most: rounding half up can't lift it above."""
    volume_ml = affordable_ml(available_minor, price_minor)

    assert charge(volume_ml, price_minor) <= available_minor


def test_what_an_amount_affords_never_costs_more_for_every_small_amount_and_price() -> None:
    for available_minor in range(60):
        for price_minor in range(1, 2_500):
            volume_ml = affordable_ml(available_minor, price_minor)

            assert charge(volume_ml, price_minor) <= available_minor
            assert all(charge(less_ml, price_minor) <= available_minor for less_ml in (0, volume_ml // 2, max(volume_ml - 1, 0)))


@given(amounts_minor, prices_minor)
def test_one_millilitre_more_is_worth_more_than_the_amount_before_rounding(available_minor: int, price_minor: int) -> None:
    volume_ml = affordable_ml(available_minor, price_minor)

    assert (volume_ml + 1) * price_minor > available_minor * ML_PER_LITER


@given(amounts_minor, prices_minor)
def test_exactly_one_millilitres_price_is_enough(available_minor: int, price_minor: int) -> None:
    assert (affordable_ml(available_minor, price_minor) >= 1) == (available_minor * ML_PER_LITER >= price_minor)


@given(volumes_ml, prices_minor)
def test_a_charge_is_the_exact_price_rounded_half_up(volume_ml: int, price_minor: int) -> None:
    thousandths = volume_ml * price_minor

    rounding = charge(volume_ml, price_minor) * ML_PER_LITER - thousandths

    assert -ML_PER_LITER // 2 < rounding <= ML_PER_LITER // 2


@given(volumes_ml, volumes_ml, prices_minor)
def test_more_volume_never_costs_less(volume_ml: int, more_ml: int, price_minor: int) -> None:
    assert charge(volume_ml, price_minor) <= charge(volume_ml + more_ml, price_minor)
