"""A node's facts until their verdict: CONTRACT.md, "Node → core", and SYSTEM.md, "When no report comes" and "The tap node"."""

import time
from typing import Any, Final
from uuid import uuid4

from tapwire_conformance.rules import CORE_TO_NODE, NO_REPORT, NODE_TO_CORE, TAP_NODE, Broken, Catalogue
from tapwire_conformance.tap.core_messages import verdict_on
from tapwire_conformance.tap.stage import TapStage

RULES: Final[Catalogue[TapStage]] = Catalogue()
LEAK_ML: Final = 20


def short_pour(stage: TapStage) -> dict[str, Any]:
    """A pour to its cap; its report, without a verdict."""
    grant = stage.pour(max_volume_ml=stage.settings.pour_ml)
    stage.act(f"pour {stage.settings.pour_ml}")
    report = stage.report(grant)
    stage.act("card-off")
    return report


def same(first: dict[str, Any], again: dict[str, Any]) -> bool:
    """Whether two reports differ in nothing but their age."""
    return {**first, "age_ms": 0} == {**again, "age_ms": 0}


@RULES.must("REPORT-1", NODE_TO_CORE)
def repeated_until_its_verdict(stage: TapStage) -> None:
    """A report is repeated, unchanged but for `age_ms`, until its own `pour_settled` comes; another pour's does not end it."""
    report = short_pour(stage)
    stage.command("pour_settled", **verdict_on(report, pour_id=str(uuid4())))
    mark = stage.mark
    again = stage.hear("pour_completed", mark, pour_id=report["pour_id"]).content
    if not same(report, again):
        raise Broken(f"it was repeated as {again}, and first sent as {report}")
    stage.settle(report)
    stage.until(lambda: stage.state()["facts_open"] == 0, "the verdict was not taken")
    mark = stage.mark
    time.sleep(stage.settings.quiet_s)
    if more := stage.all("pour_completed", mark):
        raise Broken(f"after its verdict it was sent again: {more[0]}")


@RULES.must("REPORT-2", CORE_TO_NODE)
def verdict_of_tomorrow(stage: TapStage) -> None:
    """A verdict whose status, outcome and reason the node does not know is a verdict."""
    report = short_pour(stage)
    stage.settle(report, status="considered", outcome="left_to_tomorrow", reason="because", currency="EUR", mood="calm")
    stage.until(lambda: stage.state()["facts_open"] == 0, "the verdict was not taken")


@RULES.must("REPORT-3", NO_REPORT)
def asked_for_an_old_report(stage: TapStage) -> None:
    """`report_pour` for a pour whose verdict came long ago gets the same report again."""
    report = short_pour(stage)
    stage.settle(report)
    stage.until(lambda: stage.state()["facts_open"] == 0, "the verdict was not taken")
    mark = stage.mark
    stage.command("report_pour", pour_id=report["pour_id"], journal_id=report["journal_id"])
    again = stage.hear("pour_completed", mark, pour_id=report["pour_id"]).content
    if not same({**report, "age_ms": 0}, {**again, "age_ms": 0}):
        raise Broken(f"it was reported as {report}, and now as {again}")


@RULES.must("REPORT-4", NO_REPORT)
def asked_for_a_running_pour(stage: TapStage) -> None:
    """`report_pour` for the pour that runs is answered by the `state`, which names it; the pour goes on."""
    grant = stage.pour()
    mark = stage.mark
    stage.command("report_pour", pour_id=grant["pour_id"], journal_id=stage.state()["journal_id"])
    stage.hear("node_state", mark, pour_id=grant["pour_id"], valve="open")
    if stage.all("pour_completed", mark, pour_id=grant["pour_id"]):
        raise Broken("it reported a pour that still ran")


@RULES.must("REPORT-5", NO_REPORT)
def asked_for_another_journals_pour(stage: TapStage) -> None:
    """`report_pour` with another journal's id is answered `pour_unknown`: this journal can't say what became of that pour."""
    mark = stage.mark
    pour_id = str(uuid4())
    stage.command("report_pour", pour_id=pour_id, journal_id=str(uuid4()))
    stage.hear("pour_unknown", mark, pour_id=pour_id)
    if reports := stage.all("pour_completed", mark, pour_id=pour_id):
        raise Broken(f"it claimed to know the pour: {reports[0]}")


@RULES.must("REPORT-6", TAP_NODE)
def power_cut(stage: TapStage) -> None:
    """After a power cut the pour is reported as `interrupted`, with what the journal knows; an old grant opens nothing."""
    before = stage.state()
    asked = stage.ask()
    grant = stage.grant(asked)
    stage.until(stage.valve_is_open, "a good grant did not open the valve")
    stage.act(f"pour {stage.settings.pour_ml}")
    mark = stage.mark
    stage.act("power-cut")
    stage.closes()
    report = stage.report(grant, mark)
    if (report["interrupted"], report["end_reason"], report["boot_id"]) != (True, "power_loss", before["boot_id"]):
        raise Broken(f"it was reported as {report}")
    if report["volume_ml"] < stage.settings.pour_ml // 2:
        raise Broken(f"{stage.settings.pour_ml} ml had flowed, and {report['volume_ml']} were reported")
    after = stage.state()
    if after["boot_id"] == before["boot_id"] or after["journal_id"] != before["journal_id"]:
        raise Broken("after the power cut its boot_id is the old one, or its journal_id a new one")
    stage.command("pour_authorized", **{**grant, "pour_id": str(uuid4())})
    stage.stays_closed(stage.mark)


@RULES.must("FLOW-1", TAP_NODE)
def leak(stage: TapStage) -> None:
    """Flow with a closed valve of 5 ml or more is reported as `unattributed_flow`, until `flow_recorded` comes."""
    mark = stage.mark
    stage.act(f"leak {LEAK_ML}")
    flow = stage.hear("unattributed_flow", mark, cause="closed_valve", within_s=60.0 + stage.settings.answer_s).content
    if flow["volume_ml"] != flow["odometer_to_ml"] - flow["odometer_from_ml"]:
        raise Broken(f"the volume is not the length of the odometer's stretch: {flow}")
    again = stage.hear("unattributed_flow", mark, count=2, event_id=flow["event_id"]).content
    if not same(flow, again):
        raise Broken(f"it was repeated as {again}, and first sent as {flow}")
