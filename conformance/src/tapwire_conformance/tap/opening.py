"""What opens the valve, and all that does not: SYSTEM.md, "The tap node"."""

from typing import Final
from uuid import uuid4

from tapwire_conformance.rules import MQTT, NO_REPORT, TAP_NODE, Broken, Catalogue
from tapwire_conformance.tap.core_messages import grant_of
from tapwire_conformance.tap.stage import OTHER_CARD, TapStage

RULES: Final[Catalogue[TapStage]] = Catalogue()
WRONG_BY_PERCENT: Final = 10
WRONG_BY_ML: Final = 20
PERSON_TIMES: Final = 5
"""A person pours by eye: so many times what they were asked for is no fault of the meter."""


@RULES.must("VALVE-1", TAP_NODE)
def good_grant(stage: TapStage) -> None:
    """A grant for the card on the reader, in answer to the last question, opens the valve; what flowed is reported once."""
    before_ml = stage.flowed_ml()
    grant = stage.pour(unheard_of={"field": 1})
    stage.act(f"pour {stage.settings.pour_ml}")
    stage.act("card-off")
    report = stage.report(grant)
    stage.settle(report)
    if report["volume_ml"] != report["odometer_to_ml"] - report["odometer_from_ml"]:
        raise Broken(f"the volume is not the length of the odometer's stretch: {report}")
    if report["card_uid"] != grant["card_uid"]:
        raise Broken(f"the card {grant['card_uid']} poured, and the report names {report['card_uid']}")
    after_ml = stage.flowed_ml()
    if before_ml is None or after_ml is None:  # nobody measured it
        if not 0 < report["volume_ml"] <= PERSON_TIMES * stage.settings.pour_ml:
            raise Broken(f"about {stage.settings.pour_ml} ml were poured, and {report['volume_ml']} ml were reported")
        return
    flowed_ml = after_ml - before_ml
    if abs(report["volume_ml"] - flowed_ml) > WRONG_BY_ML + flowed_ml * WRONG_BY_PERCENT // 100:
        raise Broken(f"{flowed_ml} ml flowed, and {report['volume_ml']} ml were reported")


@RULES.must("VALVE-2", TAP_NODE)
def denials(stage: TapStage) -> None:
    """A denial opens nothing, also one whose reason the node does not know."""
    for reason in ("insufficient_funds", "moon_in_the_wrong_house"):
        mark = stage.mark
        stage.deny(stage.ask(), reason)
        stage.stays_closed(mark)
        stage.take_card_off()


@RULES.must("VALVE-3", MQTT)
def retained_grant(stage: TapStage) -> None:
    """A retained grant opens nothing, also when it answers the last question in time."""
    stage.need_link()
    mark = stage.mark
    asked = stage.ask()
    stage.cut()
    try:
        stage.command("pour_authorized", retain=True, **grant_of(asked))
        stage.mend()
        stage.stays_closed(mark)
    finally:
        stage.raw_command(b"", retain=True)


@RULES.must("VALVE-4", TAP_NODE)
def late_grant(stage: TapStage) -> None:
    """A grant that comes after `request_timeout_ms` opens nothing, and is reported as never started."""
    mark = stage.mark
    asked = stage.ask()
    stage.stays_closed(mark, stage.settings.request_timeout_s + stage.settings.repeat_s)
    stage.dead(stage.grant(asked), mark)


@RULES.must("VALVE-5", TAP_NODE)
def repeated_grant(stage: TapStage) -> None:
    """A grant for a pour that the journal already has changes nothing: while it runs, and after it."""
    grant = stage.pour()
    stage.command("pour_authorized", **grant)
    stage.act(f"pour {stage.settings.pour_ml}")
    if not stage.valve_is_open():
        raise Broken("a repeated grant closed the valve")
    stage.act("card-off")
    report = stage.report(grant)
    stage.settle(report)
    mark = stage.mark
    stage.command("pour_authorized", **grant)
    stage.stays_closed(mark)
    others = [each for each in stage.all("pour_completed", 0, pour_id=grant["pour_id"]) if each["volume_ml"] != report["volume_ml"]]
    if others:
        raise Broken(f"one pour was reported as {report} and as {others[0]}")


@RULES.must("VALVE-6", TAP_NODE)
def other_cards_grant(stage: TapStage) -> None:
    """A grant for another card than the one on the reader opens nothing, and is reported as never started."""
    mark = stage.mark
    stage.dead(stage.grant(stage.ask(), card_uid=OTHER_CARD), mark)


@RULES.must("VALVE-7", TAP_NODE)
def other_boots_grant(stage: TapStage) -> None:
    """A grant that answers a question of another boot is ignored: nothing opens, nothing is reported."""
    mark = stage.mark
    asked = stage.ask()
    grant = stage.grant(asked, request_id=str(uuid4()))
    stage.stays_closed(mark)
    if reports := stage.all("pour_completed", mark, pour_id=grant["pour_id"]):
        raise Broken(f"it was reported: {reports[0]}")


@RULES.must("VALVE-8", TAP_NODE)
def unreadable_grants(stage: TapStage) -> None:
    """A command that can't be read opens nothing, and breaks nothing."""
    mark = stage.mark
    grant = grant_of(stage.ask())
    stage.raw_command(b"")
    stage.raw_command(b'{"type":"pour_authorized"')
    stage.raw_command(b"[" * 5_000)
    stage.command("pour_allowed", **grant)
    for name in ("pour_id", "card_uid", "max_volume_ml"):
        stage.command("pour_authorized", **{key: value for key, value in grant.items() if key != name})
    stage.command("pour_authorized", **{**grant, "max_volume_ml": -1})
    stage.command("pour_authorized", **{**grant, "max_volume_ml": "plenty"})
    stage.stays_closed(mark)


@RULES.must("VALVE-9", TAP_NODE)
def grant_without_the_card(stage: TapStage) -> None:
    """A grant for a card that was taken off opens nothing, and is reported as never started."""
    mark = stage.mark
    asked = stage.ask()
    stage.take_card_off()
    stage.dead(stage.grant(asked), mark)


@RULES.must("VALVE-10", TAP_NODE)
def grant_after_a_denial(stage: TapStage) -> None:
    """A grant for a question that was denied already opens nothing, and is reported as never started."""
    mark = stage.mark
    asked = stage.ask()
    stage.deny(asked)
    stage.dead(stage.grant(asked), mark)


@RULES.must("VALVE-11", NO_REPORT)
def stopped_before_it_began(stage: TapStage) -> None:
    """`stop_pour` for a pour that the node doesn't know makes its id dead: a later grant of it opens nothing."""
    mark = stage.mark
    pour_id = str(uuid4())
    stage.command("stop_pour", pour_id=pour_id, reason="operator")
    asked = stage.ask()
    stage.command("stop_pour", pour_id=pour_id, reason="operator")
    stage.grant(asked, pour_id=pour_id)
    stage.stays_closed(mark)


@RULES.must("VALVE-12", NO_REPORT)
def reported_before_it_began(stage: TapStage) -> None:
    """A pour that was reported as never started can never start: a later grant of it opens nothing."""
    mark = stage.mark
    asked = stage.ask()
    grant = grant_of(asked)
    stage.command("report_pour", pour_id=grant["pour_id"], journal_id=asked["journal_id"])
    report = stage.report(grant, mark)
    if (report["volume_ml"], report["end_reason"]) != (0, "never_started"):
        raise Broken(f"an unknown pour was reported as {report}")
    stage.command("pour_authorized", **grant)
    stage.stays_closed(mark)


@RULES.must("VALVE-13", TAP_NODE)
def second_grant(stage: TapStage) -> None:
    """A second grant for one question leaves the running pour alone, and is reported as never started."""
    asked = stage.ask()
    first = stage.grant(asked)
    stage.until(stage.valve_is_open, "a good grant did not open the valve")
    mark = stage.mark
    second = stage.grant(asked)
    report = stage.report(second, mark)
    if report["volume_ml"] != 0:
        raise Broken(f"the second grant was reported as {report}")
    if not stage.valve_is_open():
        raise Broken("a second grant closed the valve")
    stage.act("card-off")
    stage.report(first)


@RULES.must("VALVE-14", TAP_NODE)
def stopped_at_once(stage: TapStage) -> None:
    """A grant that is stopped at once leaves the valve closed, whether it had opened or not, and is reported once."""
    mark = stage.mark
    grant = stage.grant(stage.ask())
    stage.command("stop_pour", pour_id=grant["pour_id"], reason="operator")
    report = stage.report(grant, mark)
    if report["end_reason"] not in ("stopped", "never_started"):
        raise Broken(f"it was reported as {report}")
    stage.stays_closed(stage.mark)
    volumes = {each["volume_ml"] for each in stage.all("pour_completed", mark, pour_id=grant["pour_id"])}
    if volumes != {report["volume_ml"]}:
        raise Broken(f"one pour was reported with {sorted(volumes)} ml")
