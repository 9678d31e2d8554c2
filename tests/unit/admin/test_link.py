"""The console's subscriptions beside devices: presence of broker and core, and the core's answers to a tap."""

from uuid import uuid4

from tapwire_admin.live import Live, LiveKind
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import CoreState, Display, PourDenied, StopPour
from tapwire_contracts.reasons import DenyReason, StopReason
from tapwire_contracts.topics import core_state_topic, tap_path
from tapwire_core.domain.venue_scope import ALL_VENUES

LEFT = tap_path("bar", "left")
DENIAL = PourDenied(request_id=uuid4(), reason=DenyReason.CARD_UNKNOWN, message="no", display=Display(message="no"))
WORKER = CoreState(instance_id="one", software="x", contract_version="1")


def test_a_core_worker_is_there_until_it_takes_its_presence_back() -> None:
    live = Live()
    live._set_connected(connected=True)
    for _ in range(2):
        live.receive(core_state_topic("one"), encode(WORKER))
    assert live.link == {"broker": True, "cores": 1}

    live.receive(core_state_topic("one"), b"")
    assert live.link == {"broker": True, "cores": 0}


def test_without_a_broker_no_core_is_known_to_be_there() -> None:
    live = Live()
    live._set_connected(connected=True)
    live.receive(core_state_topic("one"), encode(WORKER))
    live._set_connected(connected=False)
    assert live.link == {"broker": False, "cores": 0}


def test_answers_to_taps_are_for_their_screens_and_not_in_the_apis_stream() -> None:
    live = Live()
    with live.listen(ALL_VENUES) as api, live.listen(ALL_VENUES, frozenset({LiveKind.ANSWER})) as screen:
        live.receive(LEFT.topic("command"), encode(DENIAL))
        live.receive(LEFT.topic("command"), encode(StopPour(pour_id=uuid4(), reason=StopReason.OPERATOR)))
        assert api.take() == []
        told = screen.take()
    assert [(kind, value["message"]) for kind, value in told] == [(LiveKind.ANSWER, "no")]


def test_what_is_no_message_of_ours_ends_nothing() -> None:
    live = Live()
    for topic in (LEFT.topic("command"), LEFT.topic("elsewhere"), "tapwire/v1/x", core_state_topic("+")):
        for payload in (b"", b"{}", b"no json"):
            live.receive(topic, payload)
    assert live.newest(LiveKind.ANSWER, str(LEFT)) is None
