"""What an operator does when no report comes: reconcile by hand, or void (SYSTEM.md, "When no report comes"). Pure."""

from tapwire_contracts.reasons import AuditAction, StopReason
from tapwire_core.domain.booking import book_sale, raise_overdrawn
from tapwire_core.domain.changes import Audited, Changes, PourStopped, StockMoved
from tapwire_core.domain.closed_sets import StockKind
from tapwire_core.domain.pour_reports import PourFacts
from tapwire_core.domain.pours import PourEvent, end_pour


def reconcile(pour: PourFacts, volume_ml: int, reason: str, comment: str | None, changes: Changes) -> None:
    """Settle a pending pour by the volume that an operator gives, at its frozen price."""
    amount_minor, loss_minor = book_sale(pour, volume_ml, changes)
    changes.ended.append(
        end_pour(pour, PourEvent.RECONCILED_BY_HAND, volume_ml=volume_ml, amount_minor=amount_minor, loss_minor=loss_minor)
    )
    if volume_ml:
        sold = StockMoved(keg_id=pour.keg_id, kind=StockKind.SALE, volume_ml=volume_ml, cause_id=pour.pour_id)
        changes.stock.append(sold)
        raise_overdrawn(pour.kegs, changes)
    changes.stopped = PourStopped(pour_id=pour.pour_id, reason=StopReason.RECONCILED)
    details = {
        "volume_ml": volume_ml,
        "amount_minor": amount_minor,
        "loss_minor": loss_minor,
        "reason": reason,
        "comment": comment,
    }
    changes.audited.append(Audited(action=AuditAction.RECONCILE_DONE, subjects=pour.subjects, details=details))


def void(pour: PourFacts, event: PourEvent, action: AuditAction, why: StopReason, reason: str, changes: Changes) -> None:
    """End a pending pour as if nothing had flowed; a late report is recorded and raises an incident."""
    changes.ended.append(end_pour(pour, event))
    changes.stopped = PourStopped(pour_id=pour.pour_id, reason=why)
    changes.audited.append(Audited(action=action, subjects=pour.subjects, details={"reason": reason}))
