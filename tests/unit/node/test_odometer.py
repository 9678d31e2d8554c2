"""Pulses to millilitres."""

from hypothesis import given
from hypothesis import strategies as st

from tapwire_node.controller.odometer import Odometer


@given(st.integers(1, 100_000), st.lists(st.integers(0, 500), max_size=200))
def test_however_pulses_come_the_sum_never_drifts_from_the_count(pulses_per_liter: int, steps: list[int]) -> None:
    odometer = Odometer(ml=0, remainder=0, pulses=0, pulses_per_liter=pulses_per_liter)
    count = 0
    for more in steps:
        count += more
        odometer = odometer.advance(count)

    assert odometer.ml == count * 1_000 // pulses_per_liter
    assert 0 <= odometer.remainder < pulses_per_liter


def test_a_yf_s201_gives_450_pulses_a_litre() -> None:
    odometer = Odometer(ml=0, remainder=0, pulses=0, pulses_per_liter=450)
    for count in range(1, 451):
        odometer = odometer.advance(count)
    assert (odometer.ml, odometer.remainder) == (1_000, 0)


def test_a_new_factor_converts_only_what_comes_after_it_and_keeps_the_part_of_a_millilitre() -> None:
    odometer = Odometer(ml=0, remainder=0, pulses=0, pulses_per_liter=450).advance(1)
    assert (odometer.ml, odometer.remainder) == (2, 100)

    odometer = odometer.recalibrate(900)
    assert (odometer.ml, odometer.remainder) == (2, 200)

    assert odometer.advance(1 + 900).ml == 1_002


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 2_000)), min_size=1, max_size=30))
def test_changing_factors_lose_less_than_a_thousandth_of_a_millilitre_each(stretches: list[tuple[int, int]]) -> None:
    odometer = Odometer(ml=0, remainder=0, pulses=0, pulses_per_liter=10_000)
    exact = 0.0
    for pulses_per_liter, pulses in stretches:
        odometer = odometer.recalibrate(pulses_per_liter).advance(odometer.pulses + pulses)
        exact += pulses * 1_000 / pulses_per_liter

    smallest = min(pulses_per_liter for pulses_per_liter, _ in stretches)
    shown = odometer.ml + odometer.remainder / odometer.pulses_per_liter
    assert exact - len(stretches) / smallest - 1e-6 <= shown <= exact + 1e-6


def test_a_count_that_goes_back_changes_nothing() -> None:
    odometer = Odometer(ml=5, remainder=0, pulses=10, pulses_per_liter=450)
    assert odometer.advance(9) is odometer
