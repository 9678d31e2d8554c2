"""Pours without a report: reconcile by hand, or void (SYSTEM.md, "When no report comes"). Pure."""

from tapwire_contracts.reasons import AuditAction, StopReason
from tapwire_core.domain.booking import end_with_sale
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import StockKind
from tapwire_core.domain.pour_reports import PourFacts
from tapwire_core.domain.pours import PourEvent, end_pour


def reconcile(pour: PourFacts, volume_ml: int, reason: str, comment: str | None, changes: Changes) -> None:
    """Settle a pending pour with an operator's volume, at its frozen price."""
    amount_minor, loss_minor = end_with_sale(pour, PourEvent.RECONCILED_BY_HAND, volume_ml, changes)
    changes.move_stock(pour.keg_id, StockKind.SALE, volume_ml, cause_id=pour.pour_id)
    changes.stop_pour(pour.pour_id, StopReason.RECONCILED)
    details = {
        "volume_ml": volume_ml,
        "amount_minor": amount_minor,
        "loss_minor": loss_minor,
        "reason": reason,
        "comment": comment,
    }
    changes.audit(AuditAction.RECONCILE_DONE, *pour.subjects, details=details)


def void(pour: PourFacts, event: PourEvent, action: AuditAction, why: StopReason, reason: str, changes: Changes) -> None:
    """End a pending pour as if nothing had flowed; a late report is recorded and raises an incident."""
    end_pour(pour, event, changes)
    changes.stop_pour(pour.pour_id, why)
    changes.audit(action, *pour.subjects, details={"reason": reason})
