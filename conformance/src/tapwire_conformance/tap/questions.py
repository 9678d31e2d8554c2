"""What a node asks, how often, and when not: CONTRACT.md, "Node → core", and SYSTEM.md, "The tap node"."""

from typing import Final

from tapwire_conformance.rules import MQTT, NODE_TO_CORE, TAP_NODE, Broken, Catalogue
from tapwire_conformance.tap.stage import CARD as READER_CARD
from tapwire_conformance.tap.stage import TapStage
from tapwire_contracts.codec import Malformed, decode
from tapwire_contracts.messages import CARD, COMPLETED, FLOW, PROGRESS, STATE, Route

RULES: Final[Catalogue[TapStage]] = Catalogue()
ROUTES: Final = (STATE, CARD, PROGRESS, COMPLETED, FLOW)


def readable(route: Route, payload: str) -> None:
    """A payload must be as the contract has it; raises `Broken`."""
    try:
        decode(route, payload.encode())
    except Malformed as error:
        raise Broken(f"{payload} is not as the contract has it: {error}") from error


@RULES.must("ASK-1", NODE_TO_CORE)
def question(stage: TapStage) -> None:
    """A card on the reader is a question, `card_presented`: of this boot and journal, with a `seq` above the last one's."""
    first = stage.ask()
    state = stage.state()
    for name in ("boot_id", "journal_id"):
        if first[name] != state[name]:
            raise Broken(f"the question has {name} {first[name]}, the state {state[name]}")
    stage.deny(first)
    removed = stage.mark
    stage.act("card-off")
    stage.hear("card_removed", removed, card_uid=first["card_uid"])
    second = stage.ask()
    stage.deny(second)
    if second["seq"] <= first["seq"] or second["event_id"] == first["event_id"]:
        raise Broken(f"two questions were {first} and {second}")


@RULES.must("ASK-2", NODE_TO_CORE)
def repeated_unchanged(stage: TapStage) -> None:
    """A question is repeated unchanged until `request_timeout_ms` have passed without an answer; then the node gives up."""
    mark = stage.mark
    asked = stage.ask()
    stage.hear("card_presented", mark, count=2, event_id=asked["event_id"], within_s=stage.settings.request_timeout_s)
    stage.stays_closed(mark, stage.settings.request_timeout_s + stage.settings.repeat_s)
    over = stage.mark
    stage.stays_closed(mark, 3 * stage.settings.repeat_s)
    if late := stage.all("card_presented", over):
        raise Broken(f"after request_timeout_ms it still asked: {late[0]}")
    for copy in stage.all("card_presented", mark):
        if copy != asked:
            raise Broken(f"the question was repeated as {copy}, and first asked as {asked}")


@RULES.must("ASK-3", TAP_NODE)
def card_must_be_removed(stage: TapStage) -> None:
    """After a denial and after a pour the node neither asks nor opens until the card has been taken off."""
    stage.deny(stage.ask())
    _asks_nothing(stage)
    stage.take_card_off()
    grant = stage.pour(max_volume_ml=stage.settings.pour_ml)
    stage.act(f"pour {stage.settings.pour_ml}")
    stage.settle(stage.report(grant))
    _asks_nothing(stage)


@RULES.must("ASK-4", NODE_TO_CORE)
def lists_the_unsettled(stage: TapStage) -> None:
    """A question lists in `unsettled` each pour of the journal without a verdict."""
    grant = stage.pour(max_volume_ml=stage.settings.pour_ml)
    stage.act(f"pour {stage.settings.pour_ml}")
    report = stage.report(grant)
    stage.take_card_off()
    asked = stage.ask()
    stage.deny(asked)
    if asked["unsettled"] != [report["pour_id"]]:
        raise Broken(f"the question lists {asked['unsettled']}, and the pour {report['pour_id']} has no verdict")


@RULES.must("ASK-5", MQTT)
def readable_messages(stage: TapStage) -> None:
    """Everything that the node publishes is as the contract has it, on its own topics; only its state is retained."""
    grant = stage.pour(max_volume_ml=stage.settings.pour_ml)
    stage.act(f"pour {stage.settings.pour_ml}")
    stage.report(grant)
    routes = {stage.path.topic(route.leaf): route for route in ROUTES}
    for heard in stage.transcript.heard(0, lambda heard: heard.topic in routes):
        readable(routes[heard.topic], heard.payload)
        if heard.retain and heard.topic != stage.path.topic(STATE.leaf):
            raise Broken(f"it is retained: {heard}")


@RULES.must("ASK-6", TAP_NODE)
def without_a_core(stage: TapStage) -> None:
    """When the set of core workers has been empty for 2 s, a card is refused at once: nothing is asked, and nothing opens."""
    stage.go_away()
    try:
        mark = stage.mark
        stage.stays_closed(mark, 3.0)
        mark = stage.mark
        stage.act(f"card-on {READER_CARD}")
        stage.stays_closed(mark)
        if asked := stage.all("card_presented", mark):
            raise Broken(f"without any core worker it asked {asked[0]}")
    finally:
        stage.show_up()


def _asks_nothing(stage: TapStage) -> None:
    mark = stage.mark
    stage.stays_closed(mark)
    if asked := stage.all("card_presented", mark):
        raise Broken(f"with the card still on the reader it asked again: {asked[0]}")
