"""What a core makes of its devices: who is there, two with one login, one that says too much."""

from typing import Final
from uuid import uuid4

from tapwire_conformance.core.stage import CoreStage
from tapwire_conformance.rules import CORE_TO_NODE, NODE_TO_CORE, OWN_WORD, Broken, Catalogue, NotTried

RULES: Final[Catalogue[CoreStage]] = Catalogue()
UNKNOWN_CARD: Final = "04fffffffffff0"
HEARTBEAT_MS: Final = 300
BEYOND: Final = 10
"""So many questions more than the limit: a part of the allowance comes back meanwhile."""
ROUNDS: Final = 8
TOO_MANY: Final = 429


@RULES.must("CORE-7", CORE_TO_NODE)
def silent_node(stage: CoreStage) -> None:
    """A node that missed three of its heartbeats is offline, also without a will; its next state brings it back."""
    tap = stage.another_tap()
    node = stage.node(tap)
    for _ in range(2):
        node.show(heartbeat_ms=HEARTBEAT_MS)
        stage.eventually(lambda: stage.tap(tap)["node_status"] == "online", "node_status online")
        stage.eventually(lambda: stage.tap(tap)["node_status"] == "offline", "node_status offline", stage.timing.sweep_s)


@RULES.must("IDENTITY-1", OWN_WORD)
def two_nodes(stage: CoreStage) -> None:
    """Two boots that both go on are two nodes with one login: incident `identity_conflict`, both are denied as `tap_locked`."""
    ann, tap = stage.guest(100_00), stage.another_tap()
    nodes = (stage.node(tap), stage.node(tap))
    nodes[1].journal_id = nodes[0].journal_id
    topic = tap.path.topic("config")
    for connection in range(1, ROUNDS):
        for node in nodes:
            configs = stage.transcript.heard(0, lambda heard: heard.topic == topic and heard.content)
            node.show(connection=connection, config_revision=configs[-1].content["revision"] if configs else 0)
            mark = node.mark
            node.send("card", node.question(UNKNOWN_CARD, seq=connection * 2 + nodes.index(node)))
            node.command("pour_denied", mark)  # so the state before it was looked at
        if stage.incidents("identity_conflict"):
            break
    stage.eventually(lambda: stage.incidents("identity_conflict"), "the incident identity_conflict")
    for node in nodes:
        node.denied(node.question(ann.card_uid, seq=100 + nodes.index(node)), "tap_locked")


@RULES.must("BUDGET-1", NODE_TO_CORE)
def too_many_questions(stage: CoreStage) -> None:
    """What a device says beyond `device_decisions_per_hour` gets no answer; at the HTTP door it is 429 `rate_limited`."""
    limit = stage.timing.decisions_per_hour
    if limit is None:
        raise NotTried("it uses up a device's budget: --decisions-per-hour names it, a core with a small one is quicker")
    tap = stage.another_tap()
    node, mark = stage.node(tap), stage.transcript.mark
    for _ in range(limit + BEYOND):
        node.send("card", node.question(UNKNOWN_CARD))
    last = node.question(UNKNOWN_CARD)
    node.send("card", last)
    node.nothing_about(mark, ("pour_denied",), request_id=last["event_id"])
    asked = {"card_uid": UNKNOWN_CARD, "tap_id": tap.path.device_id}
    for _ in range(limit + BEYOND):
        status, body = stage.door("/api/visits/authorize-pour", {**asked, "request_id": str(uuid4())}, tap)
        if status == TOO_MANY:
            break
    else:
        raise Broken(f"{limit + BEYOND} questions at the door were all answered, the last one {status} {body}")
    if body.get("code") != "rate_limited" or int(body.get("retry_after_ms", 0)) < 1:
        raise Broken(f"beyond its budget the door answered {status} {body}")
