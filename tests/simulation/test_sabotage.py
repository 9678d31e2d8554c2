"""The simulation catches what it is there to catch: with one safety taken away, the auditor finds the harm that it prevents."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import pytest

from tapwire_contracts.reasons import DenyReason
from tapwire_core.domain import authorization
from tapwire_core.domain.changes import Changes
from tests.simulation.auditor import Wrong
from tests.simulation.books import apply, operators
from tests.simulation.books.apply import ConstraintBroken, book_finished_kegs
from tests.simulation.books.operators import OperatorBooks
from tests.simulation.books.rows import CardRow, Tables
from tests.simulation.run import NONE, Sabotage, run_seed

SEEDS: Final = 300
LEASE_RULES: Final = (DenyReason.CARD_IN_USE_ON_OTHER_TAP, DenyReason.PROCESSING_SYNC)


def found_in(seeds: int, sabotage: Sabotage, until: Wrong) -> set[Wrong]:
    """The auditor's findings in the first seeds, up to the first of a kind."""
    found = set[Wrong]()
    for seed in range(seeds):
        found |= {finding.wrong for finding in run_seed(seed, sabotage).findings}
        if until in found:
            break
    return found


def test_without_looking_up_earlier_answers_beer_is_booked_twice() -> None:
    assert Wrong.BOOKED_TWICE in found_in(SEEDS, Sabotage(forgets_answers=True), Wrong.BOOKED_TWICE)


def test_without_looking_up_earlier_answers_a_report_gets_two_verdicts() -> None:
    assert Wrong.TWO_ANSWERS in found_in(SEEDS, Sabotage(forgets_answers=True), Wrong.TWO_ANSWERS)


def test_an_answer_that_leaves_before_its_commit_opens_a_valve_without_a_grant() -> None:
    assert Wrong.NOT_GRANTED in found_in(SEEDS, Sabotage(answers_early=True), Wrong.NOT_GRANTED)


def test_a_verdict_that_leaves_before_its_commit_loses_what_flowed() -> None:
    assert Wrong.WRONG_VOLUME in found_in(SEEDS, Sabotage(answers_early=True), Wrong.WRONG_VOLUME)


def test_without_the_lease_rules_one_tap_is_given_to_two() -> None:
    with rules_without(LEASE_RULES):
        found = found_in(SEEDS, Sabotage(several_leases=True), Wrong.TWO_LEASES)

    assert Wrong.TWO_LEASES in found


def test_without_the_lease_rules_the_schema_refuses_the_second_lease() -> None:
    with rules_without(LEASE_RULES), pytest.raises(ConstraintBroken, match="a second lease"):
        found_in(SEEDS, NONE, Wrong.TWO_LEASES)


def test_without_the_limits_bound_a_guest_is_granted_more_than_the_limit_leaves() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authorization, "left_ml", lambda *_: None)
        found = found_in(SEEDS, NONE, Wrong.OVER_LIMIT)

    assert Wrong.OVER_LIMIT in found


def test_without_the_age_rule_a_visit_without_alcohol_is_granted_some() -> None:
    with rules_without((DenyReason.AGE_RESTRICTED,)):
        found = found_in(SEEDS, NONE, Wrong.ALCOHOL)

    assert Wrong.ALCOHOL in found


def test_a_count_that_books_no_difference_leaves_cash_in_a_closed_drawer() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operators, "book_count", lambda *_, **__: [])
        found = found_in(SEEDS, NONE, Wrong.DRAWER)

    assert Wrong.DRAWER in found


def test_a_card_that_forgets_its_deposit_is_found() -> None:
    def forget(_: OperatorBooks, card: CardRow, guest_id: UUID) -> None:
        card.deposit_minor = 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OperatorBooks, "_forfeit", forget)
        found = found_in(SEEDS, NONE, Wrong.DEPOSIT)

    assert Wrong.DEPOSIT in found


def test_a_late_report_that_does_not_take_back_the_rest_of_a_finished_keg_is_found() -> None:
    def book_once(tables: Tables, changes: Changes) -> None:
        if changes.keg_finished is not None:
            book_finished_kegs(tables, changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "book_finished_kegs", book_once)
        found = found_in(SEEDS, NONE, Wrong.KEG_REST)

    assert Wrong.KEG_REST in found


@contextmanager
def rules_without(reasons: tuple[DenyReason, ...]) -> Iterator[None]:
    """The rules of authorisation without some of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authorization, "RULES", tuple(rule for rule in authorization.RULES if rule[0] not in reasons))
        yield
