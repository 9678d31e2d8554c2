"""Service runs: a person at the node opens the valve without a grant while the tap's status is cleaning."""

import pytest

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import ConfigStatus, EndReason, FlowCause, Phase
from tapwire_node.controller.effects import (
    CloseValve,
    DropServiceRun,
    Effect,
    OpenValveForService,
    RaiseAlarm,
    TellRunEnded,
    TellRunRefused,
    WriteFlow,
    WriteServiceRun,
)
from tapwire_node.controller.events import (
    ConfigUnreadable,
    Disconnected,
    HardwareFailed,
    JournalFailed,
    Part,
    ServiceRunHeld,
    ServiceRunJournalled,
    ServiceRunStopped,
    ShutdownRequested,
    ValveTripped,
)
from tests.unit.node.controller_bench import ControllerBench


@pytest.fixture
def tap() -> ControllerBench:
    tap = ControllerBench().in_service()
    tap.config(status=ConfigStatus.CLEANING, revision=2)
    return tap


def refusals(effects: list[Effect]) -> list[str]:
    return [effect.text for effect in effects if isinstance(effect, TellRunRefused)]


def test_a_run_is_on_disk_before_the_valve_opens_and_ends_as_a_fact_with_its_cause(tap: ControllerBench) -> None:
    tap.journal_answers = False
    tap.ask_run(FlowCause.CLEANING, max_volume_ml=200)
    (written,) = tap.all(WriteServiceRun)
    assert tap.all(OpenValveForService) == []
    tap.journal_answers = True

    tap.happen(ServiceRunJournalled, run_id=written.report.fact_id)
    assert len(tap.all(OpenValveForService)) == 1
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    tap.run(3_400, flow_ml_per_s=60)
    tap.wait(700)

    (flow,) = tap.flows
    assert isinstance(flow, UnattributedFlow)
    assert (flow.event_id, flow.cause, flow.card_uid) == (written.report.fact_id, FlowCause.CLEANING, None)
    (ended,) = tap.all(TellRunEnded)
    assert (ended.reason, ended.pulses, flow.volume_ml) == (EndReason.LIMIT, flow.odometer_to_ml, flow.odometer_to_ml)
    assert tap.all(CloseValve)[-1].reason is EndReason.LIMIT


def test_a_run_is_no_alarm(tap: ControllerBench) -> None:
    tap.ask_run(max_volume_ml=5_000)
    tap.run(6_000, flow_ml_per_s=60)
    tap.happen(ServiceRunStopped)
    tap.wait(5_000)

    assert tap.all(RaiseAlarm) == []
    assert [flow.volume_ml for flow in tap.flows] == [360]


def test_what_leaks_after_the_tail_of_a_run_belongs_to_the_closed_valve(tap: ControllerBench) -> None:
    tap.ask_run(max_volume_ml=100)
    tap.run(2_000, flow_ml_per_s=50)
    tap.wait(10_000, flow_ml_per_s=50)
    tap.wait(3_000)

    stretches = [(flow.cause, flow.odometer_from_ml, flow.odometer_to_ml) for flow in tap.flows]
    assert [cause for cause, _, _ in stretches] == [FlowCause.CLEANING, FlowCause.CLOSED_VALVE]
    assert stretches[0][2] == stretches[1][1]
    assert stretches[1][2] == tap.pulses


@pytest.mark.parametrize("status", [ConfigStatus.ACTIVE, ConfigStatus.LOCKED, ConfigStatus.EMERGENCY_STOP])
def test_a_run_is_refused_unless_the_config_says_cleaning(status: ConfigStatus) -> None:
    tap = ControllerBench().in_service()
    tap.config(status=status, revision=2)
    (text,) = refusals(tap.ask_run())

    assert status.value in text
    assert tap.all(WriteServiceRun) == []


@pytest.mark.parametrize(
    ("cause", "max_volume_ml", "max_duration_ms"),
    [
        (FlowCause.CLOSED_VALVE, 100, 1_000),
        (FlowCause.TEST, 0, 1_000),
        (FlowCause.TEST, 20_001, 1_000),
        (FlowCause.TEST, 100, 0),
        (FlowCause.TEST, 100, 600_001),
    ],
)
def test_a_run_has_caps(tap: ControllerBench, cause: FlowCause, max_volume_ml: int, max_duration_ms: int) -> None:
    assert len(refusals(tap.ask_run(cause, max_volume_ml, max_duration_ms))) == 1


def test_one_run_at_a_time(tap: ControllerBench) -> None:
    tap.ask_run()
    assert refusals(tap.ask_run()) == ["another service run is in progress"]
    assert len(tap.all(OpenValveForService)) == 1


def test_a_run_needs_the_broker_as_little_as_a_pour_does(tap: ControllerBench) -> None:
    tap.happen(Disconnected)
    tap.ask_run()
    assert len(tap.all(OpenValveForService)) == 1


def test_a_run_needs_no_reader(tap: ControllerBench) -> None:
    tap.happen(HardwareFailed, part=Part.READER, text="gone")
    tap.ask_run()
    assert len(tap.all(OpenValveForService)) == 1


ENDINGS = [
    (ServiceRunStopped, {}, EndReason.STOPPED),
    (ShutdownRequested, {}, EndReason.STOPPED),
    (HardwareFailed, {"part": Part.VALVE, "text": "gone"}, EndReason.FAULT),
    (HardwareFailed, {"part": Part.METER, "text": "gone"}, EndReason.FAULT),
    (JournalFailed, {"text": "disk full"}, EndReason.FAULT),
    (ValveTripped, {}, EndReason.FAULT),
    (ConfigUnreadable, {"text": "status?"}, EndReason.DISABLED),
]


@pytest.mark.parametrize(("event", "fields", "reason"), ENDINGS)
def test_a_run_closes_in_the_same_step(tap: ControllerBench, event: type, fields: dict[str, object], reason: EndReason) -> None:
    tap.ask_run()
    tap.run(400, flow_ml_per_s=50)
    effects = tap.happen(event, **fields)

    assert effects[0] == CloseValve(None, reason)
    tap.wait(700)
    assert [flow.volume_ml for flow in tap.flows] == [20]


def test_a_config_that_is_no_longer_cleaning_closes_at_once(tap: ControllerBench) -> None:
    tap.ask_run()
    assert tap.config(status=ConfigStatus.ACTIVE, revision=3)[0] == CloseValve(None, EndReason.DISABLED)
    tap.wait(1_000)
    assert tap.is_in(Phase.IDLE)


def test_a_run_ends_when_nobody_holds_it(tap: ControllerBench) -> None:
    tap.ask_run()
    tap.run(2_000, flow_ml_per_s=50)
    assert tap.all(CloseValve) == []
    tap.wait(1_000, flow_ml_per_s=50)
    assert tap.all(CloseValve) == [CloseValve(None, EndReason.STOPPED)]


def test_a_run_ends_when_its_time_is_over_or_nothing_flows(tap: ControllerBench) -> None:
    tap.ask_run(max_duration_ms=2_000)
    tap.run(2_000, flow_ml_per_s=50)
    assert tap.all(CloseValve)[-1].reason is EndReason.MAX_DURATION
    tap.wait(1_000)

    tap.ask_run(max_duration_ms=600_000)
    tap.run(30_000)
    assert tap.all(CloseValve)[-1].reason is EndReason.NO_FLOW


@pytest.mark.parametrize(("event", "fields", "_reason"), [ending for ending in ENDINGS if ending[0] is not ValveTripped])
def test_what_happens_while_the_run_is_written_keeps_the_valve_closed(
    tap: ControllerBench, event: type, fields: dict[str, object], _reason: EndReason
) -> None:
    tap.journal_answers = False
    tap.ask_run()
    run_id = tap.all(WriteServiceRun)[-1].report.fact_id
    tap.happen(event, **fields)
    tap.happen(ServiceRunJournalled, run_id=run_id)

    assert tap.all(OpenValveForService) == []
    assert len(refusals(tap.effects)) == 1
    assert tap.state.facts_open == 0
    if event is not JournalFailed:
        assert tap.all(DropServiceRun) == [DropServiceRun(run_id)]


def test_a_journal_that_takes_too_long_opens_nothing(tap: ControllerBench) -> None:
    tap.journal_answers = False
    tap.ask_run()
    tap.wait(1_200)
    tap.happen(ServiceRunJournalled, run_id=tap.all(WriteServiceRun)[-1].report.fact_id)

    assert tap.all(OpenValveForService) == []
    assert len(refusals(tap.effects)) == 1


def test_no_card_is_asked_for_until_the_run_is_reported(tap: ControllerBench) -> None:
    tap.ask_run()
    tap.run(400, flow_ml_per_s=50)
    tap.config(status=ConfigStatus.ACTIVE, revision=3)
    tap.lay()
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    tap.wait(5_000)
    assert tap.questions == []
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)


def test_a_run_is_checkpointed_and_its_verdict_counts_only_when_it_is_over(tap: ControllerBench) -> None:
    tap.ask_run()
    tap.run(2_000, flow_ml_per_s=50)
    run_id = tap.all(WriteServiceRun)[-1].report.fact_id
    tap.record_flow(run_id)
    assert tap.state.facts_open == 1
    assert tap.state.journal.checkpoint_ml >= 80

    tap.happen(ServiceRunStopped)
    tap.wait(1_000)
    tap.record_flow(run_id)
    assert tap.state.facts_open == 0


def test_the_factor_does_not_change_within_a_run(tap: ControllerBench) -> None:
    tap.ask_run()
    tap.run(1_000, flow_ml_per_s=100)
    tap.config(status=ConfigStatus.CLEANING, revision=3, pulses_per_liter=500)
    tap.run(1_000, flow_ml_per_s=100)
    tap.happen(ServiceRunStopped)
    tap.wait(1_000)

    assert [flow.volume_ml for flow in tap.flows] == [200]
    assert tap.state.odometer.pulses_per_liter == 500
    assert tap.all(WriteFlow)[-1].ended


def test_holding_without_a_run_does_nothing(tap: ControllerBench) -> None:
    assert tap.happen(ServiceRunHeld) == []
    assert tap.happen(ServiceRunStopped) == []
