"""A journal that a node is told to begin anew, and what it says to a core worker that it has not seen: CONTRACT.md."""

from typing import Final
from uuid import uuid4

from tapwire_conformance.rules import CORE_TO_NODE, Broken, Catalogue
from tapwire_conformance.tap.facts import same, short_pour
from tapwire_conformance.tap.stage import TapStage

RULES: Final[Catalogue[TapStage]] = Catalogue()


@RULES.must("JOURNAL-2", CORE_TO_NODE)
def renewed(stage: TapStage) -> None:
    """On `renew_journal` a node begins a new journal at rest, whose `seq` counts from 1; old facts keep the old one's id."""
    report = short_pour(stage)
    before = stage.state()["journal_id"]
    stage.until(lambda: stage.state()["phase"] == "IDLE", "the node was not ready for the next card")
    stage.command("renew_journal", journal_id=str(uuid4()))
    stage.stays_closed(stage.mark)
    if stage.state()["journal_id"] != before:
        raise Broken("it began a new journal in place of another than its own")
    mark = stage.mark
    stage.command("renew_journal", journal_id=before)
    stage.until(lambda: stage.state()["journal_id"] != before, "it did not begin a new journal")
    renewed_id = stage.state()["journal_id"]
    stage.command("renew_journal", journal_id=before)
    again = stage.hear("pour_completed", mark, pour_id=report["pour_id"]).content
    if not same(report, again):
        raise Broken(f"under its new journal it sent {again}, and before {report}")
    stage.settle(report)
    stage.until(lambda: stage.state()["facts_open"] == 0, "the verdict was not taken")
    question = stage.ask()
    if (question["journal_id"], question["seq"]) != (renewed_id, 1):
        raise Broken(f"the first question of the journal {renewed_id} was {question}")
    grant = stage.grant(question, max_volume_ml=stage.settings.pour_ml)
    stage.until(stage.valve_is_open, "a good grant did not open the valve")
    stage.act(f"pour {stage.settings.pour_ml}")
    if (fact := stage.report(grant))["journal_id"] != renewed_id:
        raise Broken(f"the first pour of the journal {renewed_id} was reported as {fact}")


@RULES.must("REPORT-7", CORE_TO_NODE)
def another_worker(stage: TapStage) -> None:
    """When a core worker shows up that the node has not seen, what has no verdict is sent again."""
    report = short_pour(stage)
    with stage.another_worker():
        mark = stage.mark
        again = stage.hear("pour_completed", mark, pour_id=report["pour_id"]).content
    if not same(report, again):
        raise Broken(f"it was sent again as {again}, and first as {report}")
