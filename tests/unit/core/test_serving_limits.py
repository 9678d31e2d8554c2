"""Serving limits: the formulas, and what a question's answer makes of them."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tapwire_contracts.reasons import DenyReason
from tapwire_core.db.engine import Database
from tapwire_core.domain.authorization import Decision, Denied, Facts, Granted, authorize
from tapwire_core.domain.closed_sets import ServingMeasure
from tapwire_core.domain.serving_limits import (
    Allowance,
    EthanolLimit,
    Served,
    ServingLimit,
    VolumeLimit,
    allowance,
    ethanol_mg,
    largest_ml,
    left_ml,
)
from tests.unit.core.situations import facts, pending, question

CAN_ML: Final = 500
strengths = st.integers(1, 10_000)


@pytest.mark.parametrize(
    ("volume_ml", "abv_hundredths", "mg"),
    [(500, 500, 19_725), (500, 0, 0), (0, 500, 0), (1, 10_000, 789), (1, 1, 0), (7, 1, 1), (6, 1, 0), (1_000, 495, 39_056)],
)
def test_ethanol_is_rounded_half_up(volume_ml: int, abv_hundredths: int, mg: int) -> None:
    assert ethanol_mg(volume_ml, abv_hundredths) == mg


@given(left_mg=st.integers(-500, 3_000), abv_hundredths=st.integers(100, 10_000))
def test_the_largest_volume_is_the_one_that_a_search_finds(left_mg: int, abv_hundredths: int) -> None:
    found = max((ml for ml in range(1, 500) if ethanol_mg(ml, abv_hundredths) <= left_mg), default=0)

    assert largest_ml(left_mg, abv_hundredths) == found


@given(left_mg=st.integers(0, 10**7), abv_hundredths=strengths)
def test_the_largest_volume_is_within_what_is_left_and_one_more_is_not(left_mg: int, abv_hundredths: int) -> None:
    largest = largest_ml(left_mg, abv_hundredths)

    assert ethanol_mg(largest, abv_hundredths) <= left_mg < ethanol_mg(largest + 1, abv_hundredths)


@pytest.mark.parametrize(
    ("limit", "patrons", "used", "abv_hundredths", "left"),
    [
        (VolumeLimit(limit_ml=1_000), 1, 300, 495, 700),
        (VolumeLimit(limit_ml=1_000), 3, 300, None, 2_700),
        (VolumeLimit(limit_ml=1_000), 1, 1_200, 495, 0),
        (VolumeLimit(limit_ml=1_000), 1, 300, 0, None),
        (EthanolLimit(limit_mg=20_000), 1, 275, 500, CAN_ML),
        (EthanolLimit(limit_mg=20_000), 2, 20_275, 500, CAN_ML),
        (EthanolLimit(limit_mg=789), 1, 0, None, 1),
        (EthanolLimit(limit_mg=20_000), 1, 30_000, 500, 0),
        (EthanolLimit(limit_mg=20_000), 1, 30_000, 0, None),
    ],
)
def test_what_is_left_is_a_volume_of_the_taps_beverage(
    limit: ServingLimit, patrons: int, used: int, abv_hundredths: int | None, left: int | None
) -> None:
    assert left_ml(limit, patrons, used, abv_hundredths) == left


def test_an_allowance_is_never_below_nothing() -> None:
    limit = EthanolLimit(limit_mg=1_000)

    assert allowance(limit, 2, 2_500) == Allowance(measure=ServingMeasure.ETHANOL, limit=2_000, used=2_500, left=0)


def decide(
    limit: ServingLimit | None, used: int = 0, *, abv_hundredths: int | None = 495, patrons: int = 1, allowed: bool = True
) -> Decision:
    """Answer a card's question at a tap with this beverage."""
    return authorize(question(), situation(limit, used, abv_hundredths=abv_hundredths, patrons=patrons, allowed=allowed))


def situation(
    limit: ServingLimit | None, used: int = 0, *, abv_hundredths: int | None = 495, patrons: int = 1, allowed: bool = True
) -> Facts:
    """A tap with this beverage, at which nothing else is in the way."""
    nothing = facts(())
    assert nothing.tap
    assert nothing.visit
    assert nothing.guest
    return replace(
        nothing,
        tap=replace(nothing.tap, serving_limit=limit, abv_hundredths=abv_hundredths),
        visit=replace(nothing.visit, patrons=patrons, alcohol_allowed=allowed),
        guest=replace(nothing.guest, served=Served(used=used) if limit else None),
    )


def test_a_grant_is_at_most_what_the_limit_leaves() -> None:
    decision = decide(VolumeLimit(limit_ml=400), used=150)

    assert isinstance(decision.answer, Granted)
    assert (decision.answer.max_volume_ml, decision.allowance_left_ml) == (250, 250)


def test_what_is_left_is_told_also_where_the_tap_gives_less() -> None:
    decision = decide(VolumeLimit(limit_ml=4_000))

    assert isinstance(decision.answer, Granted)
    assert (decision.answer.max_volume_ml, decision.allowance_left_ml) == (1_000, 4_000)


def test_a_limit_is_for_each_patron() -> None:
    assert decide(VolumeLimit(limit_ml=400), used=1_000, patrons=3).allowance_left_ml == 200


@pytest.mark.parametrize("limit", [VolumeLimit(limit_ml=400), EthanolLimit(limit_mg=20_000)])
def test_at_the_limit_the_card_is_refused_and_what_has_no_alcohol_is_not(limit: ServingLimit) -> None:
    assert decide(limit, used=limit.amount).answer == Denied(DenyReason.SERVING_LIMIT_REACHED)
    without = decide(limit, used=limit.amount, abv_hundredths=0)
    assert isinstance(without.answer, Granted)
    assert without.allowance_left_ml is None


def test_by_ethanol_a_beverage_of_unknown_strength_is_not_configured_and_by_volume_it_counts() -> None:
    assert decide(EthanolLimit(limit_mg=20_000), abv_hundredths=None).answer == Denied(DenyReason.TAP_NOT_CONFIGURED)
    assert decide(VolumeLimit(limit_ml=400), used=400, abv_hundredths=None).answer == Denied(DenyReason.SERVING_LIMIT_REACHED)
    assert isinstance(decide(None, abv_hundredths=None).answer, Granted)


@pytest.mark.parametrize(("abv_hundredths", "is_refused"), [(None, True), (1, True), (495, True), (0, False)])
def test_a_visit_without_alcohol_gets_only_what_has_none(abv_hundredths: int | None, is_refused: bool) -> None:
    answer = decide(None, abv_hundredths=abv_hundredths, allowed=False).answer

    assert (answer == Denied(DenyReason.AGE_RESTRICTED)) is is_refused


@pytest.mark.parametrize(("of_pending", "left"), [(300, 300), (0, 0)])
def test_a_pour_that_the_question_voids_does_not_count(of_pending: int, left: int) -> None:
    asked = situation(VolumeLimit(limit_ml=300), used=300)
    assert asked.tap
    assert asked.guest
    never_started = replace(
        asked, tap=replace(asked.tap, pending=pending()), guest=replace(asked.guest, served=Served(used=300, of_pending=of_pending))
    )

    decision = authorize(question(), never_started)

    assert decision.never_started is not None
    assert decision.allowance_left_ml == left


async def test_the_database_counts_by_the_same_formula(db: Database) -> None:
    volumes, strengths_there = (0, 1, 6, 7, 63, 64, 500, 99_999, 10**7), (0, 1, 99, 495, 500, 10_000, None)
    for volume_ml in volumes:
        for abv_hundredths in strengths_there:
            found = [
                await db.pool.fetchval("SELECT serving_measure($1, $2, $3)", measure, volume_ml, abv_hundredths)
                for measure in ServingMeasure
            ]
            mg = ethanol_mg(volume_ml, 10_000 if abv_hundredths is None else abv_hundredths)
            assert found == [0 if abv_hundredths == 0 else volume_ml, mg], (volume_ml, abv_hundredths)
