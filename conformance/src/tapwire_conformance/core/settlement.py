"""What a report does: the rows of the table in SYSTEM.md, "Settlement", and what holds for all of them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import uuid4

from tapwire_conformance.core.stage import ML_MINOR, CoreStage, Guest
from tapwire_conformance.rules import SETTLEMENT, Broken, Catalogue

RULES: Final[Catalogue[CoreStage]] = Catalogue()

COPIES: Final = 6
FAR_OVER_ML: Final = 60
"""More than `overpour_tolerance_ml`, which is 50 unless the core was told otherwise."""


def expect(verdict: dict[str, Any], status: str, outcome: str, reason: str | None = None) -> None:
    """A verdict must have these three machine fields; raises `Broken`."""
    found = (verdict["status"], verdict["outcome"], verdict["reason"])
    if found != (status, outcome, reason):
        raise Broken(f"the verdict was {found}, and should have been {(status, outcome, reason)}")


def expect_money(stage: CoreStage, guest: Guest, balance_minor: int, held_minor: int = 0) -> None:
    """A guest must have this; raises `Broken`."""
    if (found := stage.money(guest)) != (balance_minor, held_minor):
        raise Broken(f"the guest has {found[0]} and {found[1]} held, and should have {balance_minor} and {held_minor}")


def expect_pour(stage: CoreStage, grant: dict[str, Any], status: str) -> None:
    """A pour must be in this state; raises `Broken`."""
    if (found := stage.pour(grant["pour_id"])["sync_status"]) != status:
        raise Broken(f"the pour is {found}, and should be {status}")


@RULES.must("SETTLE-1", SETTLEMENT)
def repeated_report(stage: CoreStage) -> None:
    """A report that was processed before gets its first verdict again, however often and concurrently, and books nothing."""
    ann, node = stage.guest(100_00), stage.node()
    grant, keg_ml = node.grant(ann.card_uid), stage.keg_ml()
    report, mark = node.report_of(grant, 100), node.mark
    with ThreadPoolExecutor(COPIES) as senders:
        list(senders.map(lambda age_ms: node.send("pour/completed", {**report, "age_ms": age_ms}), range(COPIES)))
    first = node.command("pour_settled", mark, count=COPIES, pour_id=grant["pour_id"])
    expect(first, "accepted", "pending_updated_to_synced")
    if (again := node.deliver({**report, "age_ms": 5_000, "end_reason": "limit"})) != first:
        raise Broken(f"the same report got another verdict: {again}, and before {first}")
    expect_money(stage, ann, 100_00 - 100 * ML_MINOR)
    if stage.keg_ml() != keg_ml - 100:
        raise Broken(f"the keg went from {keg_ml} to {stage.keg_ml()} ml for 100 ml")


@RULES.must("SETTLE-2", SETTLEMENT)
def missing_pending(stage: CoreStage) -> None:
    """A report of an unknown pour, of another tap's or of another card's, charges nobody: `audit_missing_pending`, an incident."""
    ann, bob, node, other = stage.guest(100_00), stage.guest(100_00), stage.node(), stage.node(stage.right)
    grant = node.grant(ann.card_uid)
    strangers = (
        (node, {"pour_id": str(uuid4()), "card_uid": ann.card_uid}),
        (node, {**grant, "card_uid": bob.card_uid}),
        (other, grant),
    )
    for teller, named in strangers:
        verdict = teller.deliver(teller.report_of(named, 30))
        expect(verdict, "audit_only", "audit_missing_pending", "missing_pending_authorize")
        if not stage.incidents("missing_pending", named["pour_id"]):
            raise Broken(f"no incident missing_pending names the pour {named['pour_id']}")
    expect_pour(stage, grant, "pending_sync")
    expect_money(stage, ann, 100_00, 100_00)
    expect_money(stage, bob, 100_00)


@RULES.must("SETTLE-3", SETTLEMENT)
def late_matched(stage: CoreStage) -> None:
    """A late report that agrees with how its pour was ended by hand is `audit_late_matched`, and charges nothing."""
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    reconciling = {"pour_id": grant["pour_id"], "volume_ml": 50, "reason": "conformance"}
    stage.api.post(f"/api/visits/{ann.visit_id}/reconcile-pour", reconciling)
    expect(node.deliver(node.report_of(grant, 52)), "audit_only", "audit_late_matched", "late_sync_matched")
    expect_money(stage, ann, 100_00 - 50 * ML_MINOR)
    voided = node.grant(ann.card_uid)
    stage.api.post(f"/api/visits/{ann.visit_id}/force-unlock", {"pour_id": voided["pour_id"], "reason": "conformance"})
    expect(node.deliver(node.report_of(voided, 0)), "audit_only", "audit_late_matched", "late_sync_matched")


@RULES.must("SETTLE-4", SETTLEMENT)
def late_mismatch(stage: CoreStage) -> None:
    """A late report that differs from what an operator entered is `audit_late_mismatch`: no charge, an incident."""
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    reconciling = {"pour_id": grant["pour_id"], "volume_ml": 50, "reason": "conformance"}
    stage.api.post(f"/api/visits/{ann.visit_id}/reconcile-pour", reconciling)
    expect(node.deliver(node.report_of(grant, 90)), "audit_only", "audit_late_mismatch", "late_sync_mismatch")
    expect_money(stage, ann, 100_00 - 50 * ML_MINOR)
    if not stage.incidents("late_mismatch", grant["pour_id"]):
        raise Broken("no incident late_mismatch names the pour")


@RULES.must("SETTLE-5", SETTLEMENT)
def late_recorded(stage: CoreStage) -> None:
    """Another report of a pour that has ended otherwise is `audit_late_recorded`: no charge, an incident."""
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    node.deliver(node.report_of(grant, 20))
    expect(node.deliver(node.report_of(grant, 80)), "audit_only", "audit_late_recorded", "late_sync_mismatch")
    expect_money(stage, ann, 100_00 - 20 * ML_MINOR)
    if not stage.incidents("late_mismatch", grant["pour_id"]):
        raise Broken("no incident late_mismatch names the pour")


@RULES.must("SETTLE-6", SETTLEMENT)
def nothing_flowed(stage: CoreStage) -> None:
    """A report of 0 ml voids the pending pour and frees its hold: `accepted_zero_volume`."""
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    expect(node.deliver(node.report_of(grant, 0, end_reason="never_started")), "accepted", "accepted_zero_volume")
    expect_pour(stage, grant, "voided")
    expect_money(stage, ann, 100_00)


@RULES.must("SETTLE-7", SETTLEMENT)
def charged(stage: CoreStage) -> None:
    """A covered report is charged and frees the rest of the hold; far over its grant the grant alone is, and a person asked."""
    ann, node = stage.guest(200_00), stage.node()
    grant = node.grant(ann.card_uid)
    verdict = node.deliver(node.report_of(grant, 100))
    expect(verdict, "accepted", "pending_updated_to_synced")
    if (verdict["volume_ml"], verdict["amount_minor"], verdict["balance_minor"]) != (100, 100 * ML_MINOR, 200_00 - 100 * ML_MINOR):
        raise Broken(f"100 ml were settled as {verdict}")
    expect_pour(stage, grant, "synced")
    expect_money(stage, ann, 150_00)
    stage.set_tap(max_pour_ml=100)
    stage.afterwards(lambda: stage.set_tap(max_pour_ml=1_000))
    over = node.grant(ann.card_uid)
    expect(node.deliver(node.report_of(over, 100 + FAR_OVER_ML)), "accepted", "pending_updated_to_synced")
    expect_money(stage, ann, 100_00)
    if not stage.incidents("overpour", over["pour_id"]) or stage.tap()["status"] != "locked":
        raise Broken(f"far over its grant there is no incident overpour, or the tap is {stage.tap()['status']}")


@RULES.must("SETTLE-8", SETTLEMENT)
def written_off(stage: CoreStage) -> None:
    """A report over its grant by at most the tolerance takes what is there; the house bears the rest."""
    ann, node = stage.guest(50_00), stage.node()
    grant = node.grant(ann.card_uid)
    verdict = node.deliver(node.report_of(grant, 110))
    expect(verdict, "accepted", "pending_updated_to_synced")
    if (verdict["volume_ml"], verdict["amount_minor"]) != (110, 50_00):
        raise Broken(f"110 ml of a grant for 100 ml were settled as {verdict}")
    expect_money(stage, ann, 0)
    if not stage.audited("overpour_written_off", grant["pour_id"]):
        raise Broken("the audit log has no overpour_written_off")


@RULES.must("SETTLE-9", SETTLEMENT)
def rejected(stage: CoreStage) -> None:
    """A report far over its grant that is not covered is `rejected_insufficient_funds`: no charge, and the tap is locked."""
    ann, node = stage.guest(50_00), stage.node()
    grant = node.grant(ann.card_uid)
    verdict = node.deliver(node.report_of(grant, 100 + FAR_OVER_ML))
    expect(verdict, "rejected", "rejected_insufficient_funds", "insufficient_funds")
    expect_pour(stage, grant, "rejected")
    expect_money(stage, ann, 50_00)
    if not stage.incidents("rejected_insufficient_funds", grant["pour_id"]) or stage.tap()["status"] != "locked":
        raise Broken(f"there is no incident rejected_insufficient_funds, or the tap is {stage.tap()['status']}")


@RULES.must("SETTLE-10", SETTLEMENT)
def unbelievable(stage: CoreStage) -> None:
    """A report that can't be believed is `rejected_invalid_report`; its pour stays pending until a person ends it."""
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    report = node.report_of(grant, 90_000, duration_ms=1_000)
    expect(node.deliver(report), "rejected", "rejected_invalid_report", "invalid_report")
    expect_pour(stage, grant, "pending_sync")
    expect_money(stage, ann, 100_00, 100_00)
    if not stage.incidents("invalid_report", grant["pour_id"]):
        raise Broken("no incident invalid_report names the pour")


@RULES.must("SETTLE-11", SETTLEMENT)
def stock_follows_what_flowed(stage: CoreStage) -> None:
    """With any verdict, the keg's book volume follows what flowed, once: of several reports of a pour the largest."""
    ann, node = stage.guest(50_00), stage.node()
    before_ml = stage.keg_ml()
    grant = node.grant(ann.card_uid)
    node.deliver(node.report_of(grant, 100 + FAR_OVER_ML))
    node.deliver(node.report_of(grant, 200))
    node.deliver(node.report_of(grant, 50))
    if (moved_ml := before_ml - stage.keg_ml()) != 200:
        raise Broken(f"reports of 160, 200 and 50 ml of one pour took {moved_ml} ml from the keg")
