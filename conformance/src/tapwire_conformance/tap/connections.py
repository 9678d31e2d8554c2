"""A node's state, and its pours while the broker is away: CONTRACT.md, "MQTT", and SYSTEM.md, "The tap node"."""

from typing import Final

from tapwire_conformance.rules import MQTT, NODE_TO_CORE, TAP_NODE, Broken, Catalogue
from tapwire_conformance.tap.facts import same, short_pour
from tapwire_conformance.tap.stage import CARD, TapStage

RULES: Final[Catalogue[TapStage]] = Catalogue()


@RULES.must("STATE-1", MQTT)
def state_is_retained(stage: TapStage) -> None:
    """The node's `state` is retained: who connects later reads it."""
    retained = stage.retained_state()
    if retained.get("boot_id") != stage.state()["boot_id"]:
        raise Broken(f"the retained state is {retained}, and the latest {stage.state()}")


@RULES.must("STATE-2", NODE_TO_CORE)
def will_and_birth(stage: TapStage) -> None:
    """A broken connection leaves the state `offline` with its boot and connection; at the next one `connection` counts on."""
    before, mark = stage.state(), stage.mark
    stage.cut()
    will = stage.hear("node_state", mark, status="offline", within_s=120.0).content
    stage.mend()
    after = stage.state()
    if (will["boot_id"], will["connection"]) != (before["boot_id"], before["connection"]):
        raise Broken(f"the will is of connection {will['connection']}, and the broken one was {before['connection']}")
    if after["boot_id"] != before["boot_id"] or after["connection"] <= before["connection"]:
        raise Broken(f"connection went from {before['connection']} to {after['connection']}")


@RULES.must("LINK-1", TAP_NODE)
def cut_while_pouring(stage: TapStage) -> None:
    """When the broker goes away, a running pour goes on inside its cap, and is reported later."""
    stage.need_link()
    grant = stage.pour(max_volume_ml=2 * stage.settings.pour_ml)
    stage.act(f"pour {stage.settings.pour_ml // 2}")
    stage.cut()
    stage.act(f"pour {stage.settings.pour_ml // 2}")
    if stage.act("valve") == "closed":
        raise Broken("the valve closed when the broker went away")
    stage.act(f"pour {2 * stage.settings.pour_ml}")
    stage.until(lambda: stage.act("valve") != "open", "the valve did not close at the cap")
    mark = stage.mark
    stage.mend()
    report = stage.report(grant, mark)
    if report["end_reason"] != "limit" or report["volume_ml"] < stage.settings.pour_ml:
        raise Broken(f"it was reported as {report}")


@RULES.must("LINK-2", TAP_NODE)
def cut_before_the_answer(stage: TapStage) -> None:
    """When the broker goes away between question and answer, nothing opens; an answer of then that comes late is refused."""
    stage.need_link()
    mark = stage.mark
    asked = stage.ask()
    stage.cut()
    stage.stays_closed(mark, stage.settings.request_timeout_s + stage.settings.repeat_s)
    stage.mend()
    stage.dead(stage.grant(asked), mark)


@RULES.must("LINK-3", TAP_NODE)
def cut_before_the_verdict(stage: TapStage) -> None:
    """When the broker goes away between report and verdict, the report is sent again at the next connection."""
    stage.need_link()
    report = short_pour(stage)
    stage.cut()
    stage.settle(report)
    mark = stage.mark
    stage.mend()
    again = stage.hear("pour_completed", mark, pour_id=report["pour_id"]).content
    if not same(report, again):
        raise Broken(f"it was sent again as {again}, and first as {report}")


@RULES.must("LINK-4", TAP_NODE)
def card_without_a_broker(stage: TapStage) -> None:
    """While the broker is away, a card is refused: nothing opens, and its question does not come later."""
    stage.cut()
    mark = stage.mark
    stage.act(f"card-on {CARD}")
    stage.stays_closed(mark)
    stage.act("card-off")
    stage.mend()
    stage.stays_closed(mark)
    if asked := stage.all("card_presented", mark):
        raise Broken(f"a question of that time came later: {asked[0]}")
