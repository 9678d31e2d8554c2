"""Flow through the closed valve, and the published odometer."""

import pytest

from tapwire_contracts.reasons import FlowCause, Phase
from tapwire_node.controller.effects import PublishState, RaiseAlarm, WriteCheckpoint, WriteFlow
from tapwire_node.controller.events import Disconnected, JournalFailed, JournalOpened, ShutdownRequested
from tapwire_node.controller.node_state import published_state
from tests.unit.node.controller_bench import CARD, ControllerBench


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def test_four_millilitres_are_no_alarm_and_five_are(tap: ControllerBench) -> None:
    tap.flow(4)
    tap.wait(1_000)
    assert (tap.all(RaiseAlarm), tap.state.facts_open) == ([], 0)

    tap.flow(1)
    assert len(tap.all(RaiseAlarm)) == 1
    assert tap.state.facts_open == 1


def test_a_leak_is_one_fact_from_its_first_millilitre_to_its_last(tap: ControllerBench) -> None:
    tap.wait(10_000, flow_ml_per_s=10)
    tap.wait(2_500)

    (flow,) = tap.flows
    assert (flow.volume_ml, flow.odometer_from_ml, flow.odometer_to_ml) == (100, 0, 100)
    assert flow.cause is FlowCause.CLOSED_VALVE
    assert 9_000 <= flow.duration_ms <= 10_500


def test_a_leak_that_lasts_is_reported_each_minute_without_a_hole_and_alarmed_once(tap: ControllerBench) -> None:
    tap.wait(150_000, flow_ml_per_s=10)
    tap.wait(2_500)

    stretches = [(flow.odometer_from_ml, flow.odometer_to_ml) for flow in tap.flows]
    assert len(stretches) == 3
    assert [start for start, _ in stretches[1:]] == [end for _, end in stretches[:-1]]
    assert (stretches[0][0], stretches[-1][1]) == (0, 1_500)
    assert len(tap.all(RaiseAlarm)) == 2  # it began, it stopped


def test_a_leak_that_stops_right_before_its_report_is_over_and_the_next_one_is_an_alarm_too(tap: ControllerBench) -> None:
    tap.wait(60_000, flow_ml_per_s=10)
    tap.wait(3_600_000, tick_ms=1_000)
    assert [alarm.text for alarm in tap.all(RaiseAlarm)] == [
        "5 ml have flowed through the closed valve",
        "the flow through the closed valve has stopped",
    ]
    told = len(tap.flows)

    tap.flow(1)
    tap.wait(3_000)
    assert len(tap.flows) == told, "a drop is no fact"
    tap.flow(100)
    assert len(tap.all(RaiseAlarm)) == 3


def test_a_slow_drip_is_reported_as_soon_as_it_is_a_fact(tap: ControllerBench) -> None:
    for _ in range(5):
        tap.wait(30_000)
        tap.flow(1)
    tap.wait(40)
    assert [flow.volume_ml for flow in tap.flows] == [5]


def test_the_card_on_the_reader_is_named(tap: ControllerBench) -> None:
    tap.happen(Disconnected)
    tap.lay()
    tap.flow(10)
    tap.wait(2_500)
    assert tap.flows[0].card_uid == CARD


def test_a_pour_ends_a_running_leak_and_each_keeps_its_own_millilitres(tap: ControllerBench) -> None:
    tap.lay()
    tap.flow(20)
    tap.grant()
    tap.flow(100)
    tap.lift()
    tap.wait(1_500)

    assert [flow.volume_ml for flow in tap.flows] == [20]
    assert (tap.reports[-1].odometer_from_ml, tap.reports[-1].odometer_to_ml) == (20, 120)


def test_a_leak_is_in_the_journal_from_its_beginning_and_with_checkpoints(tap: ControllerBench) -> None:
    tap.wait(1_000, flow_ml_per_s=50)

    begun = [effect for effect in tap.all(WriteFlow) if not effect.ended]
    assert len(begun) == 1
    checkpoints = [effect for effect in tap.all(WriteCheckpoint) if effect.fact_id == begun[0].report.fact_id]
    assert len(checkpoints) >= 2


def test_shutdown_ends_the_running_leak(tap: ControllerBench) -> None:
    tap.flow(10)
    tap.happen(ShutdownRequested)
    assert [flow.volume_ml for flow in tap.flows] == [10]


def test_what_flowed_before_the_journal_could_be_opened_is_accounted_for() -> None:
    tap = ControllerBench()
    tap.happen(JournalFailed, text="disk full")
    tap.flow(30)
    tap.happen(JournalOpened, recovered=tap.recovered(odometer_ml=1_000))
    tap.wait(2_500)

    assert [(flow.odometer_from_ml, flow.odometer_to_ml) for flow in tap.flows] == [(1_000, 1_030)]


def test_the_state_publishes_each_advance_of_the_odometer_while_no_fact_is_open(tap: ControllerBench) -> None:
    tap.flow(3)
    tap.wait(300)
    assert published_state(tap.state).odometer_ml == 3
    told = len(tap.all(PublishState))

    tap.wait(5_000)
    assert len(tap.all(PublishState)) == told

    tap.flow(1)
    tap.wait(300)
    assert len(tap.all(PublishState)) == told + 1


def test_the_published_odometer_is_the_one_on_disk(tap: ControllerBench) -> None:
    tap.journal_answers = False
    tap.flow(3)
    tap.wait(1_000)
    assert published_state(tap.state).odometer_ml == 0


def test_checkpoints_of_a_pour_are_at_most_250_ms_or_20_ml_apart(tap: ControllerBench) -> None:
    tap.pour()
    tap.effects.clear()
    tap.wait(1_000)
    assert len(tap.all(WriteCheckpoint)) >= 3

    tap.effects.clear()
    for _ in range(6):
        tap.flow(20)
    assert len(tap.all(WriteCheckpoint)) == 6
    assert tap.is_in(Phase.POURING)
