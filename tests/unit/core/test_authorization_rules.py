"""Authorisation: the order of the rules, on every set of obstacles that can occur together."""

import itertools
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tapwire_contracts.reasons import DenyReason
from tapwire_core.domain.authorization import RULES, Denied, Granted, authorize
from tapwire_core.domain.closed_sets import CardStatus
from tapwire_core.domain.money import charge
from tests.unit.core.situations import GUEST, JOURNAL, OTHER_JOURNAL, PENDING, SEQ, facts, is_possible, pending, question


def test_the_rules_stand_in_the_order_of_the_reasons() -> None:
    assert [reason for reason, _ in RULES] == list(DenyReason)


def test_without_an_obstacle_the_answer_is_a_grant() -> None:
    assert authorize(question(), facts(())).answer == Granted(max_volume_ml=1_000, hold_minor=9_00, price_minor=9_00)


@pytest.mark.parametrize("reason", list(DenyReason))
def test_each_obstacle_alone_is_answered(reason: DenyReason) -> None:
    assert authorize(question(), facts([reason])).answer == Denied(reason)


@pytest.mark.parametrize(("first", "second"), [pair for pair in itertools.combinations(DenyReason, 2) if is_possible(pair)])
def test_of_two_obstacles_the_earlier_one_is_answered(first: DenyReason, second: DenyReason) -> None:
    assert authorize(question(), facts([first, second])).answer == Denied(first)


def test_of_all_obstacles_that_are_there_the_earliest_is_answered() -> None:
    reasons = list(DenyReason)
    for chosen in itertools.product((False, True), repeat=len(reasons)):
        obstacles = list(itertools.compress(reasons, chosen))
        if obstacles and is_possible(obstacles):
            assert authorize(question(), facts(obstacles)).answer == Denied(obstacles[0])


def test_a_retired_card_is_refused_like_a_lost_one() -> None:
    retired = replace(facts(()), card_status=CardStatus.RETIRED)

    assert authorize(question(), retired).answer == Denied(DenyReason.LOST_CARD)


def test_a_visit_leased_to_this_very_tap_is_no_other_tap() -> None:
    leased = facts([DenyReason.PROCESSING_SYNC])
    assert leased.visit is not None
    here = replace(leased, visit=replace(leased.visit, leased_tap=question().tap_path))

    assert authorize(question(), here).answer == Denied(DenyReason.PROCESSING_SYNC)


@pytest.mark.parametrize("same_journal", [True, False])
@pytest.mark.parametrize("asked_before", [True, False])
@pytest.mark.parametrize("settled_there", [True, False])
@pytest.mark.parametrize("unreported", [True, False])
def test_a_question_proves_an_older_pour_never_started_only_if_nothing_speaks_against_it(
    same_journal: bool, asked_before: bool, settled_there: bool, unreported: bool
) -> None:
    leased_by = pending(
        journal_id=JOURNAL if same_journal else OTHER_JOURNAL,
        seq=SEQ - 1 if asked_before else SEQ,
        reported=not unreported,
    )

    decision = authorize(question(frozenset() if settled_there else frozenset({PENDING})), facts((), leased_by))

    if same_journal and asked_before and settled_there and unreported:
        assert decision.never_started == leased_by
        assert isinstance(decision.answer, Granted)
    else:
        assert decision.never_started is None
        assert decision.answer == Denied(DenyReason.PROCESSING_SYNC)


def test_a_tap_without_a_journal_proves_nothing() -> None:
    assert authorize(question(seq=None), facts((), pending())).never_started is None
    assert authorize(question(), facts((), pending(journal_id=None, seq=None))).never_started is None


@pytest.mark.parametrize(
    "reason", [reason for reason in DenyReason if reason not in (DenyReason.TAP_UNKNOWN, DenyReason.PROCESSING_SYNC)]
)
def test_a_pour_is_proved_never_started_also_by_a_question_that_is_refused(reason: DenyReason) -> None:
    decision = authorize(question(), facts([reason], pending(hold_minor=0)))

    assert decision.answer == Denied(reason)
    assert decision.never_started is not None
    assert decision.never_started.pour_id == PENDING


@given(
    balance_minor=st.integers(0, 10_000),
    others_hold_minor=st.integers(0, 5_000),
    hold_minor=st.integers(0, 5_000),
    price_minor=st.integers(1, 3_000),
    keg_ml=st.integers(1, 2_000),
    max_pour_ml=st.integers(1, 2_000),
    is_the_guests=st.booleans(),
)
def test_no_grant_is_above_what_is_available(
    balance_minor: int,
    others_hold_minor: int,
    hold_minor: int,
    price_minor: int,
    keg_ml: int,
    max_pour_ml: int,
    is_the_guests: bool,
) -> None:
    leased_by = replace(pending(hold_minor=hold_minor), guest_id=GUEST if is_the_guests else UUID(int=99))
    held_minor = others_hold_minor + (hold_minor if is_the_guests else 0)
    situation = facts((), leased_by)
    assert situation.tap is not None
    assert situation.guest is not None
    asked = replace(
        situation,
        tap=replace(situation.tap, price_minor=price_minor, keg_ml=keg_ml, max_pour_ml=max_pour_ml),
        guest=replace(situation.guest, balance_minor=balance_minor + held_minor, held_minor=held_minor),
    )
    # the hold of the pour that never started comes back before the rules run, to the guest whose it was
    available_minor = balance_minor + (hold_minor if is_the_guests else 0)

    answer = authorize(question(), asked).answer

    match answer:
        case Granted():
            assert 1 <= answer.max_volume_ml <= min(keg_ml, max_pour_ml)
            assert answer.hold_minor == charge(answer.max_volume_ml, price_minor) <= available_minor
        case Denied(reason):
            assert reason is DenyReason.INSUFFICIENT_FUNDS
            assert available_minor * 1_000 < price_minor
