"""What a core says by itself, and what it makes of what it can't read: CONTRACT.md, "MQTT"."""

from typing import Final

from tapwire_conformance.core.settlement import expect
from tapwire_conformance.core.stage import CoreStage
from tapwire_conformance.rules import CORE_TO_NODE, MQTT, WORDS, Broken, Catalogue
from tapwire_contracts.codec import Malformed, decode
from tapwire_contracts.messages import COMMAND, CONFIG, CORE_STATE, Route
from tapwire_contracts.topics import ROOT

RULES: Final[Catalogue[CoreStage]] = Catalogue()


@RULES.must("CORE-1", MQTT)
def core_shows_itself(stage: CoreStage) -> None:
    """A core worker publishes its `core_state`, retained."""
    is_core = f"{ROOT}/core/"
    stage.transcript.wait(0, lambda heard: heard.topic.startswith(is_core) and heard.payload, stage.timing.answer_s, "core_state")
    for heard in stage.transcript.heard(0, lambda heard: heard.topic.startswith(is_core) and heard.payload):
        _readable(CORE_STATE, heard.payload)


@RULES.must("CORE-2", CORE_TO_NODE)
def config_follows(stage: CoreStage) -> None:
    """A change of a tap's status is published as `tap_config`, with a higher `revision`."""
    node = stage.node()
    topic = node.path.topic("config")
    before = [heard.content for heard in stage.transcript.heard(0, lambda heard: heard.topic == topic and heard.content)]
    mark = node.mark
    stage.set_tap(status="locked")
    locked = stage.transcript.wait(
        mark, lambda heard: heard.topic == topic and heard.content.get("status") == "locked", stage.timing.answer_s, "tap_config"
    )
    _readable(CONFIG, locked.payload)
    if before and locked.content["revision"] <= before[-1]["revision"]:
        raise Broken(f"the revision went from {before[-1]['revision']} to {locked.content['revision']}")


@RULES.must("CORE-3", MQTT)
def unreadable_messages(stage: CoreStage) -> None:
    """What can't be read gets no answer, breaks nothing, and the next question is answered as ever."""
    ann, node = stage.guest(100_00), stage.node()
    question = node.question(ann.card_uid)
    for spoiled in (b"", b"{", b"[]", b"\xff\xfe", b'{"type":"card_presented"}', b'{"type":"card_dreamt"}', b"[" * 10_000):
        for leaf in ("card", "pour/completed", "flow", "state"):
            node.send(leaf, spoiled)
    mark = node.mark
    node.send("card", {**question, "seq": "one"})
    node.nothing_about(mark, ("pour_authorized", "pour_denied"), request_id=question["event_id"])
    node.grant(ann.card_uid)


@RULES.must("CORE-4", MQTT)
def unknown_fields(stage: CoreStage) -> None:
    """Fields that the core does not know are ignored, in questions and in reports."""
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid, colour={"of": ["the", "moon"]})
    expect(node.deliver(node.report_of(grant, 20, temperature_c=4)), "accepted", "pending_updated_to_synced")


@RULES.must("CORE-5", MQTT)
def readable_answers(stage: CoreStage) -> None:
    """Every command is of a type of the contract, has all its fields, and is not retained."""
    ann, poor, node = stage.guest(100_00), stage.guest(), stage.node()
    mark = node.mark
    node.deliver(node.report_of(node.grant(ann.card_uid), 20))
    node.denied(node.question(poor.card_uid), "insufficient_funds")
    topic = node.path.topic("command")
    for heard in stage.transcript.heard(0, lambda heard: heard.topic == topic):
        _readable(COMMAND, heard.payload)
        if heard.retain:
            raise Broken(f"a command was retained: {heard.payload}")
    if not stage.transcript.heard(mark, lambda heard: heard.topic == topic):
        raise Broken("there came no command")


@RULES.must("CORE-6", WORDS)
def lies_about_time(stage: CoreStage) -> None:
    """A node's wall clock and ages are information only: what flowed is charged all the same."""
    ann, node = stage.guest(100_00), stage.node()
    for said in ("2170-01-01T00:00:00Z", "yesterday, late"):
        grant = node.grant(ann.card_uid, read_at=said)
        verdict = node.deliver(node.report_of(grant, 20, started_at=said, age_ms=9_000_000_000_000))
        expect(verdict, "accepted", "pending_updated_to_synced")


def _readable(route: Route, payload: str) -> None:
    try:
        decode(route, payload.encode())
    except Malformed as error:
        raise Broken(f"{payload} is not as the contract has it: {error}") from error
