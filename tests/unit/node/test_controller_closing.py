"""Reasons that close the valve of a running pour, and its tail."""

import pytest

from tapwire_contracts.reasons import ConfigStatus, EndReason, Phase
from tapwire_node.controller.effects import (
    CloseValve,
    RaiseAlarm,
)
from tapwire_node.controller.events import (
    ConfigUnreadable,
    CoreGone,
    Disconnected,
    HardwareFailed,
    JournalFailed,
    Part,
    ShutdownRequested,
    ValveTripped,
)
from tests.unit.node.controller_bench import OTHER_CARD, ControllerBench


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def test_the_valve_closes_at_the_cap_and_the_tail_belongs_to_the_pour(tap: ControllerBench) -> None:
    tap.pour(max_volume_ml=200)
    tap.flow(150)
    assert tap.closed == 0
    effects = tap.flow(50)
    assert effects[0] == CloseValve(tap.state.pour.pour_id if tap.state.pour else None, EndReason.LIMIT)
    tap.flow(7)
    tap.wait(620)

    assert (tap.reports[-1].volume_ml, tap.reports[-1].end_reason) == (207, EndReason.LIMIT)


def test_the_tail_ends_after_three_seconds_and_what_flows_on_is_unattributed(tap: ControllerBench) -> None:
    tap.pour(max_volume_ml=100)
    tap.flow(100)
    tap.wait(3_000, flow_ml_per_s=50)
    assert tap.reports[-1].volume_ml == 250
    tap.wait(1_000, flow_ml_per_s=50)

    assert tap.all(RaiseAlarm)
    assert tap.reports[-1].volume_ml == 250


def test_a_short_absence_of_the_card_does_not_end_the_pour(tap: ControllerBench) -> None:
    tap.pour()
    tap.lift()
    tap.wait(780, flow_ml_per_s=50)
    tap.lay()
    tap.wait(2_000, flow_ml_per_s=50)
    assert tap.is_in(Phase.POURING)


def test_the_cap_counts_on_while_the_card_is_away(tap: ControllerBench) -> None:
    tap.pour(max_volume_ml=100)
    tap.lift()
    tap.flow(100)
    assert tap.closed == 1


def test_another_card_closes_at_once(tap: ControllerBench) -> None:
    tap.pour()
    effects = tap.lay(OTHER_CARD)
    assert isinstance(effects[0], CloseValve)
    assert effects[0].reason is EndReason.CARD_REMOVED


def test_no_flow_and_the_longest_duration_end_a_pour(tap: ControllerBench) -> None:
    tap.pour(idle_timeout_ms=1_000)
    tap.wait(980)
    assert tap.closed == 0
    tap.wait(20)
    assert tap.all(CloseValve)[-1].reason is EndReason.NO_FLOW

    slow = ControllerBench().in_service()
    slow.pour(max_duration_ms=2_000)
    slow.wait(2_000, flow_ml_per_s=50)
    assert slow.all(CloseValve)[-1].reason is EndReason.MAX_DURATION


def test_stop_pour_closes_at_once(tap: ControllerBench) -> None:
    grant = tap.pour()
    effects = tap.stop(grant.pour_id)
    assert effects[0] == CloseValve(grant.pour_id, EndReason.STOPPED)


@pytest.mark.parametrize("status", [ConfigStatus.LOCKED, ConfigStatus.CLEANING, ConfigStatus.EMERGENCY_STOP])
def test_a_config_that_is_not_active_closes_at_once_even_with_an_older_revision(tap: ControllerBench, status: ConfigStatus) -> None:
    grant = tap.pour()
    effects = tap.config(status=status, revision=0)
    assert effects[0] == CloseValve(grant.pour_id, EndReason.DISABLED)


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (JournalFailed, {"text": "disk full"}),
        (HardwareFailed, {"part": Part.READER, "text": "gone"}),
        (ValveTripped, {}),
    ],
)
def test_a_fault_closes_at_once_and_the_pour_is_reported(tap: ControllerBench, event: type, fields: dict[str, object]) -> None:
    grant = tap.pour()
    tap.flow(40)
    effects = tap.happen(event, **fields)
    assert effects[0] == CloseValve(grant.pour_id, EndReason.FAULT)
    tap.wait(620)
    assert (tap.reports[-1].volume_ml, tap.reports[-1].end_reason) == (40, EndReason.FAULT)


def test_a_config_that_cant_be_read_closes_and_puts_the_tap_out_of_service_until_one_can(tap: ControllerBench) -> None:
    tap.pour()
    effects = tap.happen(ConfigUnreadable, text="status?")
    assert isinstance(effects[0], CloseValve)
    tap.lift()
    tap.wait(5_000)
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    tap.config()
    tap.wait(20)
    assert tap.is_in(Phase.IDLE)


def test_an_ignored_config_does_not_replace_an_unreadable_one(tap: ControllerBench) -> None:
    tap.config(revision=7)
    tap.happen(ConfigUnreadable, text="status?")
    tap.config(revision=3)
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    tap.config(revision=7)
    assert tap.is_in(Phase.IDLE)


def test_shutdown_closes_the_valve_and_still_reports(tap: ControllerBench) -> None:
    tap.pour()
    tap.flow(40)
    effects = tap.happen(ShutdownRequested)
    assert isinstance(effects[0], CloseValve)
    tap.wait(620)
    assert tap.reports[-1].volume_ml == 40


def test_a_journal_that_takes_too_long_closes_the_valve(tap: ControllerBench) -> None:
    tap.pour()
    tap.journal_answers = False
    tap.wait(2_500, flow_ml_per_s=50)
    assert tap.all(CloseValve)[-1].reason is EndReason.FAULT


def test_broker_and_core_may_be_away_while_a_pour_runs(tap: ControllerBench) -> None:
    tap.pour()
    tap.happen(CoreGone, instance_id="core-1")
    tap.happen(Disconnected)
    tap.core("core-2", contract_version="2.0")
    tap.wait(5_000, flow_ml_per_s=50)
    assert (tap.phase, tap.closed) == (Phase.POURING, 0)
