"""Preconditions of a question: broker, core workers, and a card that was removed in between."""

import pytest

from tapwire_contracts.reasons import Phase
from tapwire_node.controller.effects import (
    ResendFacts,
    ShowOnScreen,
)
from tapwire_node.controller.events import (
    Connected,
    CoreGone,
    Disconnected,
    JournalOpened,
)
from tests.unit.node.controller_bench import ControllerBench


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def test_without_a_broker_a_card_is_refused_at_once(tap: ControllerBench) -> None:
    tap.happen(Disconnected)
    tap.lay()
    assert tap.questions == []
    assert tap.all(ShowOnScreen)[-1].text == "No connection. Please tell the staff."
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)


def test_with_no_core_worker_for_two_seconds_a_card_is_refused_at_once(tap: ControllerBench) -> None:
    tap.happen(CoreGone, instance_id="core-1")
    tap.wait(1_980)
    tap.lay()
    assert tap.is_in(Phase.AUTHORIZING)

    late = ControllerBench().in_service()
    late.happen(CoreGone, instance_id="core-1")
    late.wait(2_000)
    late.lay()
    assert late.questions == []


def test_with_no_core_worker_ever_seen_the_node_asks_all_the_same() -> None:
    tap = ControllerBench().in_service(core=False)
    tap.wait(5_000)
    tap.lay()
    assert len(tap.questions) == 1


def test_a_core_worker_of_another_contract_keeps_the_tap_out_of_service(tap: ControllerBench) -> None:
    tap.core("core-2", contract_version="2.0")
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    tap.lay()
    assert tap.questions == []
    assert tap.all(ShowOnScreen)[-1].text == "This tap is out of service. Please use another one."
    tap.lift()
    tap.wait(820)
    tap.happen(CoreGone, instance_id="core-2")
    tap.wait(20)
    assert tap.is_in(Phase.IDLE)


def test_after_an_interrupted_pour_the_card_must_be_removed_before_a_question() -> None:
    tap = ControllerBench()
    tap.happen(JournalOpened, recovered=tap.recovered(interrupted=True))
    tap.config()
    tap.wait(2_000)
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    tap.lay()
    tap.wait(1_000)
    tap.lift()
    tap.wait(820)
    assert tap.is_in(Phase.IDLE)


HEARTBEAT_MS = 5_000
MISSED_MS = 15_000


def test_a_core_worker_that_missed_three_heartbeats_is_gone_and_a_card_is_refused_at_once() -> None:
    tap = ControllerBench().in_service(core=False)
    tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    tap.wait(MISSED_MS - 20)
    tap.lay()
    assert tap.is_in(Phase.AUTHORIZING)

    late = ControllerBench().in_service(core=False)
    late.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    late.wait(MISSED_MS)
    late.lay()
    assert late.questions == []
    assert late.all(ShowOnScreen)[-1].text == "No connection. Please tell the staff."


def test_a_node_that_slept_does_not_ask_a_core_worker_whose_heartbeats_it_missed() -> None:
    tap = ControllerBench().in_service(core=False)
    tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    tap.now_ms += MISSED_MS
    tap.lay()
    assert tap.questions == []


def test_heartbeats_keep_a_core_worker_there_and_resend_nothing() -> None:
    tap = ControllerBench().in_service(core=False)
    tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    resent = len(tap.all(ResendFacts))
    for _ in range(10):
        tap.wait(HEARTBEAT_MS)
        tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    tap.lay()
    assert len(tap.questions) == 1
    assert len(tap.all(ResendFacts)) == resent


def test_a_core_worker_that_is_heard_again_after_its_silence_gets_every_open_fact() -> None:
    tap = ControllerBench().in_service(core=False)
    tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    tap.wait(MISSED_MS)
    resent = len(tap.all(ResendFacts))
    tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    assert len(tap.all(ResendFacts)) == resent + 1
    tap.lay()
    assert len(tap.questions) == 1


def test_one_of_two_core_workers_that_dies_without_a_will_refuses_no_card() -> None:
    tap = ControllerBench().in_service(core=False)
    tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    for _ in range(4):
        tap.core("core-2", heartbeat_ms=HEARTBEAT_MS)
        tap.wait(HEARTBEAT_MS)
    assert [core.instance_id for core in tap.state.peers.cores] == ["core-2"]
    tap.lay()
    assert len(tap.questions) == 1


def test_a_core_worker_that_promised_no_heartbeats_is_there_until_its_will(tap: ControllerBench) -> None:
    tap.now_ms += 24 * 3_600_000
    tap.lay()
    assert len(tap.questions) == 1


def test_a_silent_core_worker_of_another_contract_lets_the_tap_into_service_again(tap: ControllerBench) -> None:
    tap.core("core-2", contract_version="2.0", heartbeat_ms=HEARTBEAT_MS)
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    tap.wait(MISSED_MS)
    assert tap.is_in(Phase.IDLE)


def test_on_a_new_connection_a_core_worker_has_its_heartbeats_time_to_show_itself() -> None:
    tap = ControllerBench().in_service(core=False)
    tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    tap.happen(Disconnected)
    tap.happen(Connected)
    tap.wait(MISSED_MS - 20)
    tap.lay()
    assert tap.is_in(Phase.AUTHORIZING), "no broker is trusted to have retained the worker's presence"

    late = ControllerBench().in_service(core=False)
    late.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    late.happen(Disconnected)
    late.happen(Connected)
    late.wait(MISSED_MS)
    late.lay()
    assert late.questions == []


def test_a_running_pour_goes_on_without_its_core_worker() -> None:
    tap = ControllerBench().in_service(core=False)
    tap.core("core-1", heartbeat_ms=HEARTBEAT_MS)
    tap.pour()
    tap.wait(MISSED_MS + 1_000, flow_ml_per_s=20)
    assert tap.is_in(Phase.POURING)
    assert tap.state.peers.cores == ()
