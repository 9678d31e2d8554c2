"""The controller with a journal that stalls, or that has unreadable reports."""

import pytest

from tapwire_contracts.reasons import EndReason, Phase
from tapwire_node.controller.effects import RaiseAlarm, ShowOnScreen, WriteGrant, WriteQuestion, WriteReport
from tapwire_node.controller.events import FactJournalled, GrantJournalled, JournalOpened, QuestionJournalled
from tapwire_node.controller.screen_texts import ScreenText, screen_text
from tests.unit.node.controller_bench import ControllerBench


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def test_a_stalled_question_puts_the_tap_out_of_service_with_one_alarm(tap: ControllerBench) -> None:
    tap.journal_answers = False
    for _ in range(20):  # guests who give up before the time is over
        tap.lay()
        tap.wait(1_000)
        tap.lift()
        tap.wait(1_000)
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    assert len(tap.all(RaiseAlarm)) == 1
    assert len(tap.all(WriteQuestion)) == 1
    assert ShowOnScreen(screen_text(ScreenText.OUT_OF_SERVICE, tap.state.locale)) in tap.lay()


def test_a_stalled_grant_opens_nothing_and_ends_the_question(tap: ControllerBench) -> None:
    tap.lay()
    tap.journal_answers = False
    grant = tap.grant()
    tap.wait(tap.limits.journal_stall_ms + 40)
    tap.lift()
    tap.wait(1_000)
    assert (tap.phase, tap.opened, len(tap.all(RaiseAlarm))) == (Phase.OUT_OF_SERVICE, 0, 1)

    tap.journal_answers = True
    tap.happen(GrantJournalled, pour_id=grant.pour_id)
    assert (tap.opened, tap.reports[-1].end_reason) == (0, EndReason.NEVER_STARTED)


def test_a_journal_that_hangs_while_it_pours_closes_the_valve_and_is_an_alarm(tap: ControllerBench) -> None:
    tap.pour()
    tap.journal_answers = False
    tap.wait(4_000, flow_ml_per_s=50)
    assert (tap.closed, len(tap.all(RaiseAlarm))) == (1, 1)


def test_a_stalled_report_keeps_the_tap_from_asking(tap: ControllerBench) -> None:
    tap.pour()
    tap.flow(100)
    tap.wait(300)
    tap.journal_answers = False
    tap.lift()
    tap.wait(10_000)
    assert (tap.phase, len(tap.all(RaiseAlarm))) == (Phase.OUT_OF_SERVICE, 1)

    tap.journal_answers = True
    tap.happen(FactJournalled, fact=tap.all(WriteReport)[0].report)
    tap.wait(3_000)
    assert tap.is_in(Phase.IDLE)


def test_a_journal_that_only_was_slow_is_no_alarm_and_pours(tap: ControllerBench) -> None:
    tap.journal_answers = False
    tap.lay()
    tap.wait(tap.limits.journal_stall_ms - 40)
    tap.happen(QuestionJournalled, event_id=tap.all(WriteQuestion)[0].event_id, seq=1)
    tap.grant()
    tap.wait(tap.limits.journal_stall_ms - 40)
    tap.happen(GrantJournalled, pour_id=tap.all(WriteGrant)[0].grant.pour_id)
    assert (tap.phase, tap.all(RaiseAlarm)) == (Phase.POURING, [])


def test_an_unreadable_report_is_an_alarm_at_the_start() -> None:
    tap = ControllerBench()
    tap.happen(JournalOpened, recovered=tap.recovered(unreadable=("5e0c",)))
    assert "5e0c can't be read" in tap.all(RaiseAlarm)[0].text
