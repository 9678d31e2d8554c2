"""What a report does: the ordered cases of SYSTEM.md, "Settlement"; the first that fits decides.

Pure: facts in, verdict and changes out. Case 1, the very same report again, never comes here: its verdict is looked up under the
tap's lock and repeated.

Physical facts always move stock. A pour's keg, the one frozen in the grant, has given in all what the largest of its reports says;
what an operator typed counts only until the first report. So a late report moves stock by the difference, also when it charges
nothing.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import (
    AuditAction,
    IncidentKind,
    Outcome,
    SyncStatus,
    VerdictReason,
    VerdictStatus,
)
from tapwire_core.domain.changes import Audited, Changes, IncidentRaised, MoneyMoved, PourEnded, PourReported, StockMoved
from tapwire_core.domain.house import House
from tapwire_core.domain.money import affordable_ml, charge
from tapwire_core.domain.pour import TRANSITIONS, PourEvent
from tapwire_core.domain.reports import PourFacts, Report, SettlementFacts, TapNow, Verdict
from tapwire_core.domain.words import Account, StockKind

FLOW_GRACE_MS: Final = 5_000
"""A meter may count this much longer than the node's clock says that the pour took."""


def why_not_believable(report: Report, house: House) -> str | None:
    """What makes a report impossible, or None."""
    if report.volume_ml > house.max_report_ml:
        return f"{report.volume_ml} ml is more than max_report_ml, {house.max_report_ml}"
    most_ml = house.max_flow_ml_per_s * (report.duration_ms + FLOW_GRACE_MS) // 1000
    if report.volume_ml > most_ml:
        return f"{report.volume_ml} ml in {report.duration_ms} ms is more than max_flow_ml_per_s allows, {most_ml} ml"
    return None


def settle(report: Report, facts: SettlementFacts, house: House, changes: Changes) -> Verdict:
    """Give a believable report its verdict, and fill `changes` with what it does."""
    pour = facts.pour
    if pour is None:
        verdict = _missing_pending(report, facts.tap, changes)
    elif pour.sync_status is not SyncStatus.PENDING_SYNC:
        verdict = _late(report, pour, house, changes)
    elif report.volume_ml == 0:
        verdict = _nothing_flowed(report, pour, changes)
    else:
        verdict = _charge_what_flowed(report, pour, house, changes)
    if pour is not None:
        _move_stock(report, pour, verdict, changes)
    return verdict


def refuse(report: Report, pour: PourFacts | None, why: str, changes: Changes) -> Verdict:
    """Give a report that can't be believed its verdict; the pour stays as it is until a person ends it.

    The dead letter keeps each such report; the audit log notes only the first of a pour, as a node may repeat it for days.
    """
    if pour is not None and not pour.refused:
        details = {"why": why, "volume_ml": report.volume_ml}
        action = AuditAction.SYNC_REJECTED_INVALID_REPORT
        changes.audited.append(Audited(action=action, subjects=pour.subjects, details=details))
    changes.raised.append(
        IncidentRaised(
            kind=IncidentKind.INVALID_REPORT,
            cause=f"{report.tap_path} {report.pour_id}",
            pour_id=report.pour_id,
            details={"why": why, "reported_volume_ml": report.volume_ml, "known_pour": pour is not None},
        )
    )
    if pour is not None:
        changes.reported = PourReported(pour_id=pour.pour_id, stock_ml=None)
    balance_minor = pour.balance_minor if pour else None
    return Verdict(
        VerdictStatus.REJECTED,
        Outcome.REJECTED_INVALID_REPORT,
        VerdictReason.INVALID_REPORT,
        max(report.volume_ml, 0),
        0,
        balance_minor,
    )


def end_pour(
    pour: PourFacts,
    event: PourEvent,
    report: Report | None = None,
    *,
    volume_ml: int = 0,
    amount_minor: int = 0,
    loss_minor: int = 0,
) -> PourEnded:
    """The way out of `pending_sync` that an event takes; a `report` says how the pour itself ended."""
    return PourEnded(
        pour_id=pour.pour_id,
        visit_id=pour.visit_id,
        guest_id=pour.guest_id,
        sync_status=TRANSITIONS[pour.sync_status, event],
        volume_ml=volume_ml,
        amount_minor=amount_minor,
        loss_minor=loss_minor,
        end_reason=report.end_reason if report else None,
        duration_ms=report.duration_ms if report else None,
    )


def share_due(volume_ml: int, sell_price_per_liter_minor: int, payable_minor: int) -> tuple[int, int]:
    """What a guest pays of a volume's charge, at most `payable_minor`, and the rest, which the house bears."""
    due_minor = charge(volume_ml, sell_price_per_liter_minor)
    amount_minor = min(due_minor, payable_minor)
    return amount_minor, due_minor - amount_minor


def book_sale(pour: PourFacts, volume_ml: int, changes: Changes) -> tuple[int, int]:
    """Book a volume's charge, at most what the guest can pay, the rest as `overpour_loss`; return both amounts."""
    amount_minor, loss_minor = share_due(volume_ml, pour.sell_price_per_liter_minor, pour.payable_minor)
    if amount_minor:
        changes.money.append(_sale(pour, Account.GUEST, amount_minor))
    if loss_minor:
        changes.money.append(_sale(pour, Account.OVERPOUR_LOSS, loss_minor))
    return amount_minor, loss_minor


def book_sold_stock(pour: PourFacts, volume_ml: int, amount_minor: int, loss_minor: int, changes: Changes) -> None:
    """Book a reported volume out of the keg: what was paid for as `sale`, the unpaid part as `overpour`."""
    unpaid_ml = volume_ml - min(volume_ml, affordable_ml(amount_minor, pour.sell_price_per_liter_minor)) if loss_minor else 0
    for kind, moved_ml in ((StockKind.SALE, volume_ml - unpaid_ml), (StockKind.OVERPOUR, unpaid_ml)):
        if moved_ml:
            changes.stock.append(StockMoved(keg_id=pour.keg_id, kind=kind, volume_ml=moved_ml, cause_id=pour.pour_id))


def raise_overdrawn(kegs: Mapping[UUID, int], changes: Changes) -> None:
    """Raise `keg_overdrawn` for each keg whose book volume goes below zero: a calibration fault, never a failing report.

    `kegs` are the book volumes before the change, in ml. Called once the change is complete: what it takes back counts as well.
    """
    for keg_id, before_ml in kegs.items():
        moved_ml = sum(moved.volume_ml for moved in changes.stock if moved.keg_id == keg_id)
        left_ml = before_ml - moved_ml
        if moved_ml > 0 and left_ml < 0:
            details = {
                "keg_id": str(keg_id),
                "book_volume_ml": left_ml,
                "hint": "check the flow meter's calibration and the keg's volume",
            }
            changes.raised.append(IncidentRaised(kind=IncidentKind.KEG_OVERDRAWN, cause=str(keg_id), details=details))


def _sale(pour: PourFacts, debit: Account, amount_minor: int) -> MoneyMoved:
    return MoneyMoved(
        debit_account=debit,
        credit_account=Account.SALES,
        amount_minor=amount_minor,
        guest_id=pour.guest_id,
        pour_id=pour.pour_id,
    )


def _missing_pending(report: Report, tap: TapNow, changes: Changes) -> Verdict:
    details = {"volume_ml": report.volume_ml, "card_uid": report.card_uid, "value_minor": tap.value_of(report.volume_ml)}
    changes.audited.append(
        Audited(
            action=AuditAction.SYNC_MISSING_PENDING,
            subjects=(str(report.pour_id), report.tap_path, report.card_uid),
            details=details,
        )
    )
    if report.volume_ml:
        details["keg_id"] = str(tap.keg_id) if tap.keg_id else None
        cause = f"{report.tap_path} {report.pour_id} {report.volume_ml} {report.odometer_from_ml} {report.odometer_to_ml}"
        changes.raised.append(
            IncidentRaised(kind=IncidentKind.MISSING_PENDING, cause=cause, pour_id=report.pour_id, details=details)
        )
        book_unattributed(tap, report.volume_ml, StockKind.UNATTRIBUTED, report.pour_id, changes)
    return Verdict(
        VerdictStatus.AUDIT_ONLY,
        Outcome.AUDIT_MISSING_PENDING,
        VerdictReason.MISSING_PENDING_AUTHORIZE,
        report.volume_ml,
        0,
        None,
    )


def book_unattributed(tap: TapNow, volume_ml: int, kind: StockKind, cause_id: UUID, changes: Changes) -> None:
    """Book a volume that belongs to no pour out of the keg that is on the tap; without either there is no stock to move."""
    if volume_ml and tap.keg_id is not None:
        changes.stock.append(StockMoved(keg_id=tap.keg_id, kind=kind, volume_ml=volume_ml, cause_id=cause_id))


def _late(report: Report, pour: PourFacts, house: House, changes: Changes) -> Verdict:
    by_hand = pour.sync_status in (SyncStatus.RECONCILED, SyncStatus.VOIDED)
    if by_hand and abs(report.volume_ml - pour.volume_ml) <= house.late_sync_tolerance_ml:
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
    changes.audited.append(Audited(action=action, subjects=pour.subjects, details=details))
    if outcome is not Outcome.AUDIT_LATE_MATCHED:
        changes.raised.append(
            IncidentRaised(
                kind=IncidentKind.LATE_MISMATCH,
                cause=f"{pour.pour_id} {report.volume_ml} {report.odometer_from_ml} {report.odometer_to_ml}",
                pour_id=pour.pour_id,
                details={**details, "visit_id": str(pour.visit_id), "guest_id": str(pour.guest_id)},
            )
        )
    return Verdict(VerdictStatus.AUDIT_ONLY, outcome, reason, report.volume_ml, 0, pour.balance_minor)


def _nothing_flowed(report: Report, pour: PourFacts, changes: Changes) -> Verdict:
    changes.ended.append(end_pour(pour, PourEvent.REPORT_ZERO, report))
    details = {"why": "the tap reported that nothing flowed", "end_reason": report.end_reason}
    changes.audited.append(Audited(action=AuditAction.POUR_VOIDED, subjects=pour.subjects, details=details))
    return Verdict(VerdictStatus.ACCEPTED, Outcome.ACCEPTED_ZERO_VOLUME, None, 0, 0, pour.balance_minor)


def _charge_what_flowed(report: Report, pour: PourFacts, house: House, changes: Changes) -> Verdict:
    over_ml = report.volume_ml - pour.max_volume_ml
    covered = charge(report.volume_ml, pour.sell_price_per_liter_minor) <= pour.payable_minor
    if not covered and over_ml > house.overpour_tolerance_ml:
        return _reject(report, pour, over_ml, changes)
    amount_minor, loss_minor = book_sale(pour, report.volume_ml, changes)
    ended = end_pour(
        pour, PourEvent.REPORT_COVERED, report, volume_ml=report.volume_ml, amount_minor=amount_minor, loss_minor=loss_minor
    )
    changes.ended.append(ended)
    details = {
        "volume_ml": report.volume_ml,
        "max_volume_ml": pour.max_volume_ml,
        "amount_minor": amount_minor,
        "loss_minor": loss_minor,
    }
    if not covered:
        action = AuditAction.OVERPOUR_WRITTEN_OFF
    elif over_ml > 0:
        action = AuditAction.OVERPOUR_CHARGED
    else:
        action = AuditAction.POUR_SYNCED
    changes.audited.append(Audited(action=action, subjects=pour.subjects, details=details))
    if over_ml > house.overpour_tolerance_ml:
        _valve_does_not_close(IncidentKind.OVERPOUR, pour, {**details, "over_ml": over_ml}, changes)
    return Verdict(
        VerdictStatus.ACCEPTED,
        Outcome.PENDING_UPDATED_TO_SYNCED,
        None,
        report.volume_ml,
        amount_minor,
        pour.balance_minor - amount_minor,
    )


def _reject(report: Report, pour: PourFacts, over_ml: int, changes: Changes) -> Verdict:
    changes.ended.append(end_pour(pour, PourEvent.REPORT_NOT_COVERED, report, volume_ml=report.volume_ml))
    details = {
        "volume_ml": report.volume_ml,
        "max_volume_ml": pour.max_volume_ml,
        "over_ml": over_ml,
        "due_minor": charge(report.volume_ml, pour.sell_price_per_liter_minor),
        "payable_minor": pour.payable_minor,
    }
    changes.audited.append(Audited(action=AuditAction.SYNC_REJECTED_INSUFFICIENT_FUNDS, subjects=pour.subjects, details=details))
    _valve_does_not_close(IncidentKind.REJECTED_INSUFFICIENT_FUNDS, pour, details, changes)
    return Verdict(
        VerdictStatus.REJECTED,
        Outcome.REJECTED_INSUFFICIENT_FUNDS,
        VerdictReason.INSUFFICIENT_FUNDS,
        report.volume_ml,
        0,
        pour.balance_minor,
    )


def _valve_does_not_close(kind: IncidentKind, pour: PourFacts, details: Mapping[str, object], changes: Changes) -> None:
    changes.tap_locked = f"pour {pour.pour_id} ran far over its limit: the valve does not close as it should"
    found = {**details, "guest_id": str(pour.guest_id), "visit_id": str(pour.visit_id)}
    changes.raised.append(IncidentRaised(kind=kind, cause=str(pour.pour_id), pour_id=pour.pour_id, details=found))


def _move_stock(report: Report, pour: PourFacts, verdict: Verdict, changes: Changes) -> None:
    flowed_ml = max(pour.stock_ml, report.volume_ml) if pour.reported else report.volume_ml
    changes.reported = PourReported(pour_id=pour.pour_id, stock_ml=flowed_ml)
    moved_ml = flowed_ml - pour.stock_ml
    if verdict.outcome is Outcome.PENDING_UPDATED_TO_SYNCED:
        ended = changes.ended[0]
        book_sold_stock(pour, moved_ml, ended.amount_minor, ended.loss_minor, changes)
    elif moved_ml:
        kind = StockKind.OVERPOUR if verdict.outcome is Outcome.REJECTED_INSUFFICIENT_FUNDS else StockKind.CORRECTION
        changes.stock.append(StockMoved(keg_id=pour.keg_id, kind=kind, volume_ml=moved_ml, cause_id=pour.pour_id))
