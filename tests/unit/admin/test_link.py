"""The console's subscriptions beside devices: presence of broker and core, and the core's answers to a tap."""

import time
from uuid import uuid4

from msgspec.structs import replace

from tapwire_admin.live import Live, LiveKind
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import CoreState, Display, PourDenied, PresentCard, StopPour
from tapwire_contracts.reasons import DenyReason, StopReason
from tapwire_contracts.topics import core_state_topic, tap_path
from tapwire_core.domain.venue_scope import ALL_VENUES
from tests.venue import SimulatedTap

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


def test_a_core_worker_that_missed_three_heartbeats_is_gone_and_one_that_promised_none_stays() -> None:
    live = Live()
    live._set_connected(connected=True)
    live.receive(core_state_topic("old"), encode(WORKER))
    live.receive(core_state_topic("new"), encode(replace(WORKER, heartbeat_ms=5_000)))

    live.forget_silent(time.monotonic() + 14.9)
    assert live.link == {"broker": True, "cores": 2}
    live.forget_silent(time.monotonic() + 15.1)
    assert live.link == {"broker": True, "cores": 1}
    assert [worker.instance_id for worker in live.read_broker().core_workers] == ["one"]

    live.receive(core_state_topic("new"), encode(replace(WORKER, heartbeat_ms=5_000)))
    assert live.link == {"broker": True, "cores": 2}


def test_a_node_that_missed_three_heartbeats_is_offline_with_its_card_until_it_is_heard_again() -> None:
    live, card = Live(), PresentCard(card_uid="04a1b2c3", reader_id="tap", read_at="")
    live._set_connected(connected=True)
    state = replace(SimulatedTap(LEFT).state(), card=card, heartbeat_ms=30_000)
    live.receive(LEFT.topic("state"), encode(state))
    assert live.is_online(str(LEFT))

    with live.listen(ALL_VENUES) as stream:
        stream.take()
        live.forget_silent(time.monotonic() + 91)
        told = stream.take()
    assert [(kind, value["status"], value["card"]) for kind, value in told] == [(LiveKind.NODE, "offline", None)]
    assert not live.is_online(str(LEFT))
    assert live.cards(ALL_VENUES) == {str(LEFT): None}

    live.receive(LEFT.topic("state"), encode(state))
    assert not live.is_online(str(LEFT)), "the broker repeats what it has retained"
    live.receive(LEFT.topic("state"), encode(replace(state, uptime_ms=state.uptime_ms + 1)))
    assert live.is_online(str(LEFT))
    assert live.cards(ALL_VENUES) == {str(LEFT): "04a1b2c3"}


def test_a_node_without_heartbeats_is_judged_by_its_own_word() -> None:
    live = Live()
    live._set_connected(connected=True)
    live.receive(LEFT.topic("state"), encode(SimulatedTap(LEFT).state()))
    live.forget_silent(time.monotonic() + 1_000_000)
    assert live.is_online(str(LEFT))


def test_what_was_said_while_the_console_was_away_is_not_missed() -> None:
    live = Live()
    live._set_connected(connected=True)
    live.receive(LEFT.topic("state"), encode(replace(SimulatedTap(LEFT).state(), heartbeat_ms=30_000)))
    live._set_connected(connected=False)
    live._silent_from_s[str(LEFT)] = time.monotonic() - 100
    live._set_connected(connected=True)
    live.forget_silent(time.monotonic())
    assert live.is_online(str(LEFT))
