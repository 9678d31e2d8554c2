"""Preconditions of a question: broker, core workers, and a card that was removed in between."""

import pytest

from tapwire_contracts.reasons import Phase
from tapwire_node.controller.effects import (
    ShowOnScreen,
)
from tapwire_node.controller.events import (
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
