"""What closes the valve: SYSTEM.md, "The tap node"."""

from typing import Final

from tapwire_conformance.rules import CORE_TO_NODE, TAP_NODE, Broken, Catalogue
from tapwire_conformance.tap.stage import OTHER_CARD, TapStage

RULES: Final[Catalogue[TapStage]] = Catalogue()
OVER_ML: Final = 50
"""`overpour_tolerance_ml`: beyond it the house has to look at the valve."""
SOON_S: Final = 3.0


def ended(stage: TapStage, grant: dict[str, object], end_reason: str, within_s: float = SOON_S) -> dict[str, object]:
    """The valve must close in time, and the pour's report name this end; the report."""
    stage.closes(within_s)
    report = stage.report(grant)
    if report["end_reason"] != end_reason:
        raise Broken(f"the report says that it ended by {report['end_reason']}, and it was {end_reason}")
    return report


@RULES.must("CLOSE-1", TAP_NODE)
def at_the_cap(stage: TapStage) -> None:
    """At `max_volume_ml` the valve closes by itself."""
    grant = stage.pour(max_volume_ml=stage.settings.pour_ml)
    stage.act(f"pour {stage.settings.pour_ml}")
    report = ended(stage, grant, "limit", stage.settings.answer_s)
    if int(str(report["volume_ml"])) > stage.settings.pour_ml + OVER_ML:
        raise Broken(f"{report['volume_ml']} ml flowed on a grant for {stage.settings.pour_ml}")


@RULES.must("CLOSE-2", TAP_NODE)
def card_taken_off(stage: TapStage) -> None:
    """When the card is gone for 0.8 s, the valve closes."""
    grant = stage.pour()
    stage.act("card-off")
    ended(stage, grant, "card_removed")


@RULES.must("CLOSE-3", TAP_NODE)
def another_card(stage: TapStage) -> None:
    """On another card the valve closes, and that card is not asked for before the reader was free."""
    grant = stage.pour()
    mark = stage.mark
    stage.act(f"card-on {OTHER_CARD}")
    stage.closes(SOON_S)
    stage.report(grant)
    stage.stays_closed(stage.mark)
    if asked := [each for each in stage.all("card_presented", mark) if each["card_uid"] != grant["card_uid"]]:
        raise Broken(f"it asked for the other card: {asked[0]}")


@RULES.must("CLOSE-4", TAP_NODE)
def stopped(stage: TapStage) -> None:
    """`stop_pour` closes the valve, once and for all; one for another pour does not, and more of them change nothing."""
    grant = stage.pour()
    stage.command("stop_pour", pour_id="00000000-0000-4000-8000-000000000000", reason="operator")
    stage.act(f"pour {stage.settings.pour_ml}")
    if not stage.valve_is_open():
        raise Broken("a stop_pour for another pour closed the valve")
    for _ in range(2):
        stage.command("stop_pour", pour_id=grant["pour_id"], reason="a reason of tomorrow")
    report = ended(stage, grant, "stopped")
    stage.command("stop_pour", pour_id=grant["pour_id"], reason="operator")
    stage.stays_closed(stage.mark)
    volumes = {each["volume_ml"] for each in stage.all("pour_completed", 0, pour_id=grant["pour_id"])}
    if volumes != {report["volume_ml"]}:
        raise Broken(f"one pour was reported with {sorted(volumes)} ml")


@RULES.must("CLOSE-5", CORE_TO_NODE)
def taken_out_of_service(stage: TapStage) -> None:
    """A config whose status is not `active` closes the valve, also a status that the node does not know."""
    for status in ("locked", "emergency_stop", "resting"):
        grant = stage.pour()
        stage.configure(status=status)
        ended(stage, grant, "disabled")
        stage.act("card-off")
        stage.settle(stage.report(grant))
        stage.configure()
        stage.until(lambda: stage.state()["phase"] == "IDLE", "the tap did not come back into service")


@RULES.must("CLOSE-6", TAP_NODE)
def nothing_flows(stage: TapStage) -> None:
    """When nothing has flowed for `idle_timeout_ms`, the valve closes."""
    stage.act("flow off")
    grant = stage.pour(idle_timeout_ms=1_500)
    ended(stage, grant, "no_flow", 1.5 + SOON_S)


@RULES.must("CLOSE-7", TAP_NODE)
def longest_pour(stage: TapStage) -> None:
    """After `max_duration_ms` the valve closes, though the card lies on and beer flows."""
    grant = stage.pour(max_duration_ms=1_500)
    ended(stage, grant, "max_duration", 1.5 + SOON_S)
