"""One pour through the controller: question, grant, flow, close, report."""

from itertools import pairwise

import pytest

from tapwire_contracts.messages import CardRemoved, Display, PourProgress
from tapwire_contracts.reasons import DenyReason, EndReason, Phase
from tapwire_node.controller.effects import (
    OpenValve,
    Publish,
    ShowOnScreen,
    WarnOperator,
    WriteGrant,
    WriteReport,
)
from tapwire_node.controller.events import (
    GrantJournalled,
)
from tests.unit.node.controller_bench import CARD, OTHER_CARD, ControllerBench


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def test_a_card_is_asked_for_granted_poured_and_reported(tap: ControllerBench) -> None:
    grant = tap.pour()
    assert (tap.phase, tap.opened) == (Phase.POURING, 1)

    tap.wait(3_000, flow_ml_per_s=60)
    tap.lift()
    tap.wait(800)
    assert tap.is_in(Phase.SETTLING)
    tap.wait(600)
    tap.settle(grant.pour_id)
    tap.wait(20)

    report = tap.reports[-1]
    assert (report.pour_id, report.volume_ml, report.end_reason) == (grant.pour_id, 180, EndReason.CARD_REMOVED)
    assert (report.odometer_from_ml, report.odometer_to_ml) == (0, 180)
    assert tap.is_in(Phase.IDLE)
    assert tap.state.facts_open == 0


def test_the_grant_is_on_disk_before_the_valve_opens(tap: ControllerBench) -> None:
    tap.lay()
    tap.journal_answers = False

    grant = tap.grant()
    assert tap.all(WriteGrant)
    assert tap.opened == 0
    tap.happen(GrantJournalled, pour_id=grant.pour_id)

    assert tap.opened == 1


def test_the_question_is_sent_only_with_its_seq_on_disk(tap: ControllerBench) -> None:
    tap.journal_answers = False
    tap.lay()
    tap.wait(3_000)
    assert tap.questions == []


def test_the_question_is_repeated_unchanged_each_second_until_the_node_gives_up(tap: ControllerBench) -> None:
    tap.lay()
    tap.wait(5_020)

    assert len(tap.questions) == 6
    assert all(question == tap.questions[0] for question in tap.questions)
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    tap.wait(10_000)
    assert len(tap.questions) == 6


def test_questions_are_numbered_and_name_the_pours_without_a_verdict(tap: ControllerBench) -> None:
    first = tap.pour()
    tap.lift()
    tap.wait(5_000)
    tap.lay()

    assert (tap.question.seq, tap.question.unsettled) == (2, (first.pour_id,))


def test_the_next_question_waits_for_the_verdict_or_two_seconds(tap: ControllerBench) -> None:
    tap.pour()
    tap.flow(100)
    tap.lift()
    tap.wait(800 + 600 + 20)
    reported_ms = tap.now_ms
    while tap.phase is Phase.SETTLING:
        tap.wait(20)
    assert 1_980 <= tap.now_ms - reported_ms <= 2_020


def test_a_denial_asks_for_the_card_to_be_removed(tap: ControllerBench) -> None:
    tap.lay()
    tap.deny(DenyReason.NO_ACTIVE_VISIT)

    assert (tap.phase, tap.opened) == (Phase.CARD_MUST_BE_REMOVED, 0)
    assert tap.all(WarnOperator) == []
    tap.lift()
    tap.wait(820)
    assert tap.is_in(Phase.IDLE)


def test_a_denial_for_funds_warns_the_operator_in_russian_and_english(tap: ControllerBench) -> None:
    tap.lay()
    tap.deny(DenyReason.INSUFFICIENT_FUNDS)

    (warning,) = tap.all(WarnOperator)
    assert "Insufficient funds: top up guest balance before pouring." in warning.text
    assert "Недостаточно средств" in warning.text


def test_nothing_is_asked_until_the_card_has_been_gone_for_the_debounce_time(tap: ControllerBench) -> None:
    tap.lay()
    tap.deny(DenyReason.GUEST_BLOCKED)
    tap.lift()
    tap.wait(780)
    tap.lay()
    tap.lay(OTHER_CARD)
    tap.wait(2_000)
    assert len(tap.questions) == 1

    tap.lift()
    tap.wait(820)
    tap.lay()
    assert len({question.event_id for question in tap.questions}) == 2


def test_each_card_that_was_asked_for_is_reported_removed_once(tap: ControllerBench) -> None:
    tap.lay()
    tap.deny(DenyReason.LOST_CARD)
    tap.lift()
    tap.wait(400)
    tap.lay()
    tap.wait(400)
    tap.lift()
    tap.wait(3_000)

    removed = [effect.message for effect in tap.all(Publish) if isinstance(effect.message, CardRemoved)]
    assert [message.card_uid for message in removed] == [CARD]


def test_progress_is_published_at_most_five_times_a_second(tap: ControllerBench) -> None:
    tap.pour()
    tap.wait(2_000, flow_ml_per_s=50)
    told = [effect.message for effect in tap.all(Publish) if isinstance(effect.message, PourProgress)]
    assert 8 <= len(told) <= 10
    assert all(later.elapsed_ms - earlier.elapsed_ms >= 200 for earlier, later in pairwise(told))


def test_the_report_is_written_once_and_never_another(tap: ControllerBench) -> None:
    tap.pour()
    tap.flow(100)
    tap.lift()
    tap.wait(10_000)
    assert len(tap.all(WriteReport)) == 1
    assert len(tap.all(OpenValve)) == 1


def test_a_grant_shows_what_is_left_until_the_serving_limit(tap: ControllerBench) -> None:
    tap.pour(display=Display(message="Enjoy!", allowance_left_ml=300))

    assert tap.all(ShowOnScreen)[-1].text == "Enjoy! 300 ml left until the limit."
