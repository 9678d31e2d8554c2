"""Settlement of a report: the ordered cases of SYSTEM.md, "Settlement"; the first that fits applies. Pure.

SETTLE-1, a repeated report, never comes here: its verdict is looked up under the tap's lock and repeated.

Physical facts always move stock. The total taken from the grant's keg is the largest volume that a report of the pour states; an
operator's volume counts only until the first report. So a late report moves stock by the difference, also when it charges nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.reasons import AuditAction, IncidentKind, Outcome, SyncStatus, VerdictReason, VerdictStatus
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.answers import settled_message
from tapwire_core.domain.booking import book_sold_stock, end_with_sale
from tapwire_core.domain.change_records import PourReported, StretchAccounted, VerdictRemembered
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import StockKind
from tapwire_core.domain.money import charge
from tapwire_core.domain.odometers import StretchFacts, account_fact, account_implausible
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pour_reports import CurrentTap, PourFacts, Report, SettlementFacts, Verdict, implausibility
from tapwire_core.domain.pours import PourEvent, end_pour

VALVE_SUSPECTED: Final = "A pour ran far over its limit: check the valve."
"""Reason of the lock of a tap whose valve did not close; the console has it in its languages."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The verdict's payload, its changes, and why the report is implausible (None for a plausible one)."""

    payload: str
    changes: Changes
    implausibility: str | None


def settle_new_report(
    report: Report,
    journal_id: UUID | None,
    facts: SettlementFacts,
    overlapping: Sequence[StretchFacts],
    policy: Policy,
    actor: Actor,
    content: object,
) -> Settled:
    """Settle a new report.

    `overlapping`: the stretches of this journal's odometer that overlap the report's. `content`: the report as JSON, to keep.
    """
    facts = facts.for_card(report.binding_card)
    changes = Changes.by(actor, tap_path=report.tap_path, venue_id=facts.tap.venue_id, shift_id=facts.tap.shift_id, kegs=facts.kegs)
    why_not = implausibility(report, policy, facts.pour)
    if not why_not and _forgot_pour(report, journal_id, facts.pour):
        why_not = "the node's journal was set back to before this pour: it can't know that nothing flowed"
        assert journal_id
        assert report.boot_id
        proof = {"pour_id": str(report.pour_id), "odometer_ml": report.odometer_from_ml}
        changes.note_set_back(journal_id, report.boot_id, known=facts.set_back, **proof)
    verdict = refuse(report, facts.pour, why_not, changes) if why_not else settle(report, facts, policy, changes)
    if report.stretch is not None and journal_id is not None:
        from_ml, to_ml = report.stretch
        stretch = StretchAccounted(
            journal_id=journal_id,
            from_ml=from_ml,
            to_ml=to_ml,
            fact_id=report.pour_id,
            boot_id=report.boot_id,
            set_back=facts.set_back,
        )
        if why_not:
            account_implausible(stretch, facts.pour, overlapping, changes)
        else:
            account_fact(stretch, report.volume_ml, overlapping, changes)
    payload = encode(settled_message(report, verdict, policy)).decode()
    changes.verdict = VerdictRemembered(
        pour_id=report.pour_id,
        volume_ml=report.volume_ml,
        odometer_from_ml=report.odometer_from_ml,
        odometer_to_ml=report.odometer_to_ml,
        report=content,
        verdict=payload,
    )
    return Settled(payload, changes, why_not)


def _forgot_pour(report: Report, journal_id: UUID | None, pour: PourFacts | None) -> bool:
    """Whether a node says of a pour that nothing flowed, and its odometer proves that its journal is older than the pour.

    The node can name the pour only since its grant, when its odometer was at `odometer_seen_ml` or further.
    """
    if pour is None or pour.odometer_seen_ml is None or report.odometer_from_ml is None or report.volume_ml:
        return False
    is_another_boot = None not in (report.boot_id, pour.boot_id) and report.boot_id != pour.boot_id
    return is_another_boot and pour.journal_id == journal_id and report.odometer_from_ml < pour.odometer_seen_ml


def settle(report: Report, facts: SettlementFacts, policy: Policy, changes: Changes) -> Verdict:
    """Give a plausible report its verdict, and fill in its changes."""
    pour = facts.pour
    if pour is None:
        return _missing_pending(report, facts.tap, changes)  # SETTLE-2
    keg_gave_ml = max(pour.stock_ml, report.volume_ml) if pour.reported else report.volume_ml
    changes.reported = PourReported(pour_id=pour.pour_id, stock_ml=keg_gave_ml)
    moved_ml = keg_gave_ml - pour.stock_ml
    if pour.sync_status is not SyncStatus.PENDING_SYNC:
        return _late(report, pour, moved_ml, policy, changes)  # SETTLE-3, SETTLE-4, SETTLE-5
    if report.volume_ml == 0:
        return _nothing_flowed(report, pour, moved_ml, changes)  # SETTLE-6
    is_far_over = report.volume_ml - pour.max_volume_ml > policy.overpour_tolerance_ml
    covered = charge(report.volume_ml, pour.sell_price_per_liter_minor) <= pour.payable_minor
    if not is_far_over:
        return _charge_what_flowed(report, pour, moved_ml, changes, covered=covered)  # SETTLE-7, SETTLE-8
    if not covered:
        return _reject(report, pour, moved_ml, changes)  # SETTLE-9
    return _charge_grant(report, pour, moved_ml, changes)  # SETTLE-7


def refuse(report: Report, pour: PourFacts | None, why: str, changes: Changes) -> Verdict:
    """Give an implausible report its verdict (SETTLE-10); the pour keeps its state until a person ends it.

    Each such report is kept as a dead letter; the audit log notes only a pour's first, as a node may repeat it for days.
    """
    if pour is not None and not pour.refused:
        details = {"why": why, "volume_ml": report.volume_ml}
        changes.audit(AuditAction.SYNC_REJECTED_INVALID_REPORT, *pour.subjects, details=details)
    changes.raise_incident(
        IncidentKind.INVALID_REPORT,
        f"{report.tap_path} {report.pour_id}",
        {"why": why, "reported_volume_ml": report.volume_ml, "known_pour": pour is not None},
        pour_id=report.pour_id,
    )
    if pour is not None:
        changes.reported = PourReported(pour_id=pour.pour_id, stock_ml=None)
    return Verdict(
        VerdictStatus.REJECTED,
        Outcome.REJECTED_INVALID_REPORT,
        VerdictReason.INVALID_REPORT,
        max(report.volume_ml, 0),
        0,
        pour.balance_minor if pour else None,
    )


def _missing_pending(report: Report, tap: CurrentTap, changes: Changes) -> Verdict:
    details: dict[str, object] = {
        "volume_ml": report.volume_ml,
        "card_uid": report.card_uid,
        "value_minor": tap.value_of(report.volume_ml),
    }
    if report.volume_ml:
        details["keg_id"] = str(tap.keg_id) if tap.keg_id else None
    changes.audit(AuditAction.SYNC_MISSING_PENDING, report.pour_id, report.tap_path, report.card_uid, details=details)
    if report.volume_ml:
        cause = f"{report.tap_path} {report.pour_id} {report.volume_ml} {report.odometer_from_ml} {report.odometer_to_ml}"
        changes.raise_incident(IncidentKind.MISSING_PENDING, cause, details, pour_id=report.pour_id)
        changes.move_stock(tap.keg_id, StockKind.UNATTRIBUTED, report.volume_ml, cause_id=report.pour_id)
    return Verdict(
        VerdictStatus.AUDIT_ONLY,
        Outcome.AUDIT_MISSING_PENDING,
        VerdictReason.MISSING_PENDING_AUTHORIZE,
        report.volume_ml,
        0,
        None,
    )


def _late(report: Report, pour: PourFacts, moved_ml: int, policy: Policy, changes: Changes) -> Verdict:
    by_hand = pour.sync_status in (SyncStatus.RECONCILED, SyncStatus.VOIDED)
    if by_hand and abs(report.volume_ml - pour.volume_ml) <= policy.late_sync_tolerance_ml:
        outcome, reason, action = Outcome.AUDIT_LATE_MATCHED, VerdictReason.LATE_SYNC_MATCHED, AuditAction.LATE_SYNC_MATCHED
    elif pour.sync_status is SyncStatus.RECONCILED:
        outcome, reason, action = Outcome.AUDIT_LATE_MISMATCH, VerdictReason.LATE_SYNC_MISMATCH, AuditAction.LATE_SYNC_MISMATCH
    else:
        outcome, reason, action = Outcome.AUDIT_LATE_RECORDED, VerdictReason.LATE_SYNC_MISMATCH, AuditAction.LATE_SYNC_MISMATCH
    details = {
        "sync_status": pour.sync_status,
        "reported_volume_ml": report.volume_ml,
        "booked_volume_ml": pour.volume_ml,
        "reported_value_minor": charge(report.volume_ml, pour.sell_price_per_liter_minor),
        "booked_amount_minor": pour.amount_minor,
    }
    changes.audit(action, *pour.subjects, details=details)
    if outcome is not Outcome.AUDIT_LATE_MATCHED:
        changes.raise_incident(
            IncidentKind.LATE_MISMATCH,
            f"{pour.pour_id} {report.volume_ml} {report.odometer_from_ml} {report.odometer_to_ml}",
            {**details, "visit_id": str(pour.visit_id), "guest_id": str(pour.guest_id)},
            pour_id=pour.pour_id,
        )
    changes.move_stock(pour.keg_id, StockKind.CORRECTION, moved_ml, cause_id=pour.pour_id)
    return Verdict(VerdictStatus.AUDIT_ONLY, outcome, reason, report.volume_ml, 0, pour.balance_minor)


def _nothing_flowed(report: Report, pour: PourFacts, moved_ml: int, changes: Changes) -> Verdict:
    end_pour(pour, PourEvent.REPORT_ZERO, changes, report)
    details = {"why": "the tap reported that nothing flowed", "end_reason": report.end_reason}
    changes.audit(AuditAction.POUR_VOIDED, *pour.subjects, details=details)
    changes.move_stock(pour.keg_id, StockKind.CORRECTION, moved_ml, cause_id=pour.pour_id)
    return Verdict(VerdictStatus.ACCEPTED, Outcome.ACCEPTED_ZERO_VOLUME, None, 0, 0, pour.balance_minor)


def _charge_what_flowed(report: Report, pour: PourFacts, moved_ml: int, changes: Changes, *, covered: bool) -> Verdict:
    amount_minor, loss_minor = end_with_sale(pour, PourEvent.REPORT_COVERED, report.volume_ml, changes, report)
    book_sold_stock(pour, moved_ml, amount_minor, loss_minor, changes)
    details = {
        "volume_ml": report.volume_ml,
        "max_volume_ml": pour.max_volume_ml,
        "amount_minor": amount_minor,
        "loss_minor": loss_minor,
    }
    if not covered:
        action = AuditAction.OVERPOUR_WRITTEN_OFF
    elif report.volume_ml > pour.max_volume_ml:
        action = AuditAction.OVERPOUR_CHARGED
    else:
        action = AuditAction.POUR_SYNCED
    changes.audit(action, *pour.subjects, details=details)
    return _synced(report, pour, amount_minor)


def _charge_grant(report: Report, pour: PourFacts, moved_ml: int, changes: Changes) -> Verdict:
    """Charge a pour far over its grant for the grant alone.

    A person decides about the rest: a report without flow, of a failing meter or a stolen node, may not take a guest's balance.
    """
    over_ml = report.volume_ml - pour.max_volume_ml
    amount_minor, loss_minor = end_with_sale(pour, PourEvent.REPORT_COVERED, pour.max_volume_ml, changes, report)
    book_sold_stock(pour, moved_ml - over_ml, amount_minor, loss_minor, changes)
    changes.move_stock(pour.keg_id, StockKind.OVERPOUR, over_ml, cause_id=pour.pour_id)
    details = {
        "volume_ml": report.volume_ml,
        "max_volume_ml": pour.max_volume_ml,
        "over_ml": over_ml,
        "amount_minor": amount_minor,
        "value_minor": charge(report.volume_ml, pour.sell_price_per_liter_minor),
    }
    changes.audit(AuditAction.OVERPOUR_CHARGED, *pour.subjects, details=details)
    _lock_failing_valve(IncidentKind.OVERPOUR, pour, details, changes)
    return _synced(report, pour, amount_minor)


def _synced(report: Report, pour: PourFacts, amount_minor: int) -> Verdict:
    return Verdict(
        VerdictStatus.ACCEPTED,
        Outcome.PENDING_UPDATED_TO_SYNCED,
        None,
        report.volume_ml,
        amount_minor,
        pour.balance_minor - amount_minor,
    )


def _reject(report: Report, pour: PourFacts, moved_ml: int, changes: Changes) -> Verdict:
    end_pour(pour, PourEvent.REPORT_NOT_COVERED, changes, report, volume_ml=report.volume_ml)
    details = {
        "volume_ml": report.volume_ml,
        "max_volume_ml": pour.max_volume_ml,
        "over_ml": report.volume_ml - pour.max_volume_ml,
        "due_minor": charge(report.volume_ml, pour.sell_price_per_liter_minor),
        "payable_minor": pour.payable_minor,
    }
    changes.audit(AuditAction.SYNC_REJECTED_INSUFFICIENT_FUNDS, *pour.subjects, details=details)
    _lock_failing_valve(IncidentKind.REJECTED_INSUFFICIENT_FUNDS, pour, details, changes)
    changes.move_stock(pour.keg_id, StockKind.OVERPOUR, moved_ml, cause_id=pour.pour_id)
    return Verdict(
        VerdictStatus.REJECTED,
        Outcome.REJECTED_INSUFFICIENT_FUNDS,
        VerdictReason.INSUFFICIENT_FUNDS,
        report.volume_ml,
        0,
        pour.balance_minor,
    )


def _lock_failing_valve(kind: IncidentKind, pour: PourFacts, details: Mapping[str, object], changes: Changes) -> None:
    changes.lock_tap(VALVE_SUSPECTED)
    details = {**details, "guest_id": str(pour.guest_id), "visit_id": str(pour.visit_id)}
    changes.raise_incident(kind, str(pour.pour_id), details, pour_id=pour.pour_id)
