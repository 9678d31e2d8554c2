"""The plausibility check of the meter: impossible pulses are a fault, and are reported all the same."""

import pytest

from tapwire_contracts.reasons import EndReason, FlowCause, Phase
from tapwire_node.controller.effects import CloseValve, RaiseAlarm, ShowOnScreen
from tapwire_node.controller.events import JournalOpened
from tapwire_node.controller.limits import Limits
from tests.unit.node.controller_bench import ControllerBench

MOST_ML_PER_S = 500


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench(Limits(meter_max_ml_per_s=MOST_ML_PER_S, meter_window_ms=1_000, meter_recovery_ms=5_000)).in_service()


def test_impossible_pulses_close_the_valve_in_the_same_step_and_are_reported(tap: ControllerBench) -> None:
    grant = tap.pour(max_volume_ml=1_000)
    effects = tap.flow(501)

    assert effects[0] == CloseValve(grant.pour_id, EndReason.FAULT)
    tap.wait(700)
    assert (tap.reports[-1].volume_ml, tap.reports[-1].end_reason) == (501, EndReason.FAULT)
    assert any("501 pulses in" in alarm.text and "meter_max_ml_per_s" in alarm.text for alarm in tap.all(RaiseAlarm))


def test_as_much_as_the_meter_can_give_is_no_fault(tap: ControllerBench) -> None:
    tap.pour(max_volume_ml=100_000)
    tap.wait(20_000, flow_ml_per_s=MOST_ML_PER_S)
    assert tap.is_in(Phase.POURING)


def test_a_long_gap_between_two_looks_allows_as_much_as_flows_in_it(tap: ControllerBench) -> None:
    tap.pour(max_volume_ml=100_000)
    tap.now_ms += 4_000
    tap.flow(2_000)
    assert tap.is_in(Phase.POURING)


def test_impossible_pulses_at_a_closed_tap_are_a_fault_with_one_alarm_and_a_fact(tap: ControllerBench) -> None:
    for _ in range(10):
        tap.flow(600)
    assert tap.is_in(Phase.FAULT)
    assert len([alarm for alarm in tap.all(RaiseAlarm) if alarm.text.startswith("meter:")]) == 1
    assert "out of service" in tap.all(ShowOnScreen)[-1].text
    tap.wait(3_000)
    assert [(flow.cause, flow.volume_ml) for flow in tap.flows] == [(FlowCause.CLOSED_VALVE, 6_000)]


def test_during_the_fault_no_card_is_asked_for_and_afterwards_the_card_must_be_removed_first(tap: ControllerBench) -> None:
    tap.flow(600)
    tap.lay()
    tap.wait(4_000)
    assert tap.is_in(Phase.FAULT)
    tap.wait(2_000)
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    assert tap.questions == []
    tap.lift()
    tap.wait(900)
    assert tap.is_in(Phase.IDLE)


def test_the_fault_is_cleared_only_after_the_last_excess(tap: ControllerBench) -> None:
    tap.flow(600)
    tap.wait(4_000)
    tap.flow(600)
    tap.wait(4_000)
    assert tap.is_in(Phase.FAULT)


def test_an_odometer_that_starts_high_is_no_fault() -> None:
    tap = ControllerBench()
    tap.happen(JournalOpened, recovered=tap.recovered(odometer_ml=1_000_000))
    tap.config()
    tap.wait(2_000)
    assert tap.state.faults == frozenset()
