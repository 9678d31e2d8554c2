"""A node with a core of a later version: words that it does not know are text, and open nothing."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from tapwire_contracts.codec import decode
from tapwire_contracts.messages import COMMAND, CONFIG, PourDenied, PourSettled, StopPour, TapConfig
from tapwire_contracts.reasons import EndReason, Phase
from tapwire_node.controller.effects import LogLine, OpenValve, ShowOnScreen, WarnOperator, WriteVerdict
from tapwire_node.controller.events import ConfigReceived, DenialReceived, StopReceived, VerdictReceived
from tests.unit.node.controller_bench import CONFIG as ACTIVE
from tests.unit.node.controller_bench import ControllerBench

INVENTED = "phase_of_the_moon"


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def denial(request_id: UUID) -> PourDenied:
    """A refusal for a reason of tomorrow, as it comes over the wire."""
    said: dict[str, Any] = {
        "type": "pour_denied",
        "request_id": str(request_id),
        "reason": INVENTED,
        "message": "The moon is full.",
        "display": {"message": "Please wait for the moon.", "a_field_of_tomorrow": 1},
    }
    read = decode(COMMAND, msgspec.json.encode(said))
    assert isinstance(read, PourDenied)
    return read


def test_a_denial_for_an_unknown_reason_is_a_denial_and_shows_the_cores_text(tap: ControllerBench) -> None:
    tap.lay()

    tap.happen(DenialReceived, denial=denial(tap.question.event_id))

    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    assert tap.all(OpenValve) == []
    assert tap.all(ShowOnScreen)[-1].text == "Please wait for the moon."
    assert any(INVENTED in line.text for line in tap.all(LogLine))
    assert tap.all(WarnOperator) == []


def test_a_config_with_an_unknown_status_ends_the_pour_and_keeps_the_tap_closed(tap: ControllerBench) -> None:
    tap.pour()
    tap.flow(100)
    config = msgspec.json.decode(msgspec.json.encode(ACTIVE)) | {"status": INVENTED, "revision": ACTIVE.revision + 1}
    read = decode(CONFIG, msgspec.json.encode(config))
    assert isinstance(read, TapConfig)

    tap.happen(ConfigReceived, config=read)
    tap.wait(5_000)
    tap.lift()
    tap.wait(2_000)
    tap.lay()

    assert tap.is_in(Phase.OUT_OF_SERVICE)
    assert tap.reports[-1].end_reason is EndReason.DISABLED
    assert len(tap.questions) == 1


def test_a_verdict_with_unknown_words_settles_the_fact(tap: ControllerBench) -> None:
    grant = tap.pour()
    tap.flow(100)
    tap.lift()
    tap.wait(5_000)
    said = {
        "type": "pour_settled",
        "pour_id": str(grant.pour_id),
        "status": "postponed",
        "outcome": INVENTED,
        "reason": INVENTED,
        "volume_ml": 100,
        "amount_minor": 0,
        "balance_minor": None,
        "currency": "EUR",
    }
    read = decode(COMMAND, msgspec.json.encode(said))
    assert isinstance(read, PourSettled)

    tap.happen(VerdictReceived, verdict=read)

    assert [effect.fact_id for effect in tap.all(WriteVerdict)] == [grant.pour_id]
    assert tap.state.facts_open == 0


def test_a_stop_for_an_unknown_reason_stops(tap: ControllerBench) -> None:
    grant = tap.pour()
    read = decode(COMMAND, msgspec.json.encode({"type": "stop_pour", "pour_id": str(grant.pour_id), "reason": INVENTED}))
    assert isinstance(read, StopPour)

    tap.happen(StopReceived, stop=read)

    assert not tap.state.valve_open


@pytest.mark.parametrize("reason", ["", None, 7, "x" * 201])
def test_a_reason_that_is_no_text_makes_a_message_malformed(reason: object) -> None:
    said = {"type": "stop_pour", "pour_id": "5e0c1c9e-2b6e-4d8a-9a53-111111111111", "reason": reason}

    with pytest.raises(ValueError, match="reason"):
        decode(COMMAND, msgspec.json.encode(said))
