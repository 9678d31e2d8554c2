"""When no report comes, and when a journal was set back: SYSTEM.md."""

from typing import Final
from uuid import uuid4

from tapwire_conformance.core.settlement import expect_money, expect_pour
from tapwire_conformance.core.stage import ML_MINOR, CoreStage
from tapwire_conformance.rules import NO_REPORT, OWN_WORD, Broken, Catalogue

RULES: Final[Catalogue[CoreStage]] = Catalogue()


@RULES.must("RECOVER-1", NO_REPORT)
def asks_for_the_report(stage: CoreStage) -> None:
    """For a pour that is pending longer than `start_window_ms` the core sends `report_pour`."""
    ann, node = stage.guest(100_00), stage.node()
    grant, mark = node.grant(ann.card_uid), node.mark
    asked = node.command("report_pour", mark, within_s=stage.timing.sweep_s, pour_id=grant["pour_id"])
    if asked["journal_id"] != node.journal_id:
        raise Broken(f"it asked the journal {asked['journal_id']}, and the pour was asked with {node.journal_id}")


@RULES.must("RECOVER-2", NO_REPORT)
def journal_lost(stage: CoreStage) -> None:
    """`pour_unknown` raises the incident `journal_lost`; the pour stays pending for a person, whose act ends the incident."""
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    node.send("pour/completed", {"type": "pour_unknown", "pour_id": grant["pour_id"], "journal_id": node.journal_id})
    stage.eventually(lambda: stage.incidents("journal_lost", grant["pour_id"]), "the incident journal_lost")
    expect_pour(stage, grant, "pending_sync")
    reconciling = {"pour_id": grant["pour_id"], "volume_ml": 10, "reason": "conformance"}
    stage.api.post(f"/api/visits/{ann.visit_id}/reconcile-pour", reconciling)
    stage.eventually(lambda: not stage.incidents("journal_lost", grant["pour_id"]), "the end of the incident journal_lost")


@RULES.must("RECOVER-3", NO_REPORT)
def reconciled(stage: CoreStage) -> None:
    """Reconciling charges by the frozen price, once, and sends `stop_pour`; again for a state that still names the pour."""
    ann, node = stage.guest(100_00), stage.node()
    grant, mark = node.grant(ann.card_uid), node.mark
    reconciling = {"pour_id": grant["pour_id"], "volume_ml": 50, "reason": "conformance"}
    for _ in range(2):
        stage.api.post(f"/api/visits/{ann.visit_id}/reconcile-pour", reconciling)
    node.command("stop_pour", mark, pour_id=grant["pour_id"])
    expect_pour(stage, grant, "reconciled")
    expect_money(stage, ann, 100_00 - 50 * ML_MINOR)
    mark = node.mark
    node.show(phase="POURING", valve="open", pour_id=grant["pour_id"], facts_open=1)
    node.command("stop_pour", mark, pour_id=grant["pour_id"])


@RULES.must("RECOVER-4", NO_REPORT)
def unlocked(stage: CoreStage) -> None:
    """`force-unlock` voids the pour, frees its hold and leases, and sends `stop_pour`."""
    ann, node = stage.guest(100_00), stage.node()
    grant, mark = node.grant(ann.card_uid), node.mark
    stage.api.post(f"/api/visits/{ann.visit_id}/force-unlock", {"pour_id": grant["pour_id"], "reason": "conformance"})
    node.command("stop_pour", mark, pour_id=grant["pour_id"])
    expect_pour(stage, grant, "voided")
    expect_money(stage, ann, 100_00)
    node.grant(ann.card_uid)


@RULES.must("JOURNAL-1", OWN_WORD)
def journal_set_back(stage: CoreStage) -> None:
    """Another boot's question with a `seq` that is taken proves that the journal was set back: incident, `renew_journal`."""
    ann, node = stage.guest(100_00), stage.node()
    stage.settle_incidents("journal_set_back")
    node.deliver(node.report_of(node.grant(ann.card_uid, seq=5), 20))
    mark, node.boot_id = node.mark, str(uuid4())
    node.denied(node.question(ann.card_uid, seq=5), "stale_request")
    node.command("renew_journal", mark, journal_id=node.journal_id)
    stage.eventually(lambda: stage.incidents("journal_set_back"), "the incident journal_set_back")
    mark = node.mark
    node.show()
    node.command("renew_journal", mark, journal_id=node.journal_id)
