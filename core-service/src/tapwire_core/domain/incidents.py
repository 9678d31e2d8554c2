"""What ending an incident books (SYSTEM.md, "Operators"). Pure.

`charged` takes the amount from the guest, at most what is available; the rest is `overpour_loss`. `written_off` books all of it as
`overpour_loss`. `corrected` gives it back to the guest as an adjustment. `no_action` books nothing.
"""

from collections.abc import Mapping
from typing import Any, Final, assert_never
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import AuditAction, IncidentKind, IncidentStatus, Resolution
from tapwire_core.domain.changes import Audited, Changes, MoneyMoved
from tapwire_core.domain.closed_sets import Account

WORTH: Final[Mapping[IncidentKind, str]] = {
    IncidentKind.LATE_MISMATCH: "reported_value_minor",
    IncidentKind.REJECTED_INSUFFICIENT_FUNDS: "due_minor",
}
"""Under which name an incident's details say what its volume is worth, where it is not `value_minor`."""
PAID: Final = "paid_minor"
"""Under which name an incident's details say what was booked for its volume before it was known whose it is."""


class IncidentFacts(Struct, frozen=True, kw_only=True):
    """An incident under its lock. `sales_minor`: what its pour has brought already, whoever paid and for whatever reason."""

    incident_id: UUID
    kind: IncidentKind
    status: IncidentStatus
    owner: str | None
    venue_id: str | None
    tap_path: str | None
    pour_id: UUID | None
    shift_id: UUID | None
    details: dict[str, Any]
    sales_minor: int
    pour_pending: bool

    @property
    def unpaid_minor(self) -> int | None:
        """What nobody has paid yet."""
        return unpaid_minor(self.kind, self.details, self.sales_minor)


class PayingGuest(Struct, frozen=True, kw_only=True):
    """Whom an incident is charged to, or gives back to."""

    guest_id: UUID
    available_minor: int


def worth_minor(kind: IncidentKind, details: Mapping[str, Any]) -> int | None:
    """What an incident's volume is worth, if it is known."""
    found = details.get(WORTH.get(kind, "value_minor"))
    return found if isinstance(found, int) else None


def unpaid_minor(kind: IncidentKind, details: Mapping[str, Any], sales_minor: int) -> int | None:
    """What is still to be paid of an incident's volume when its pour has brought `sales_minor`; None where no worth is known."""
    worth = worth_minor(kind, details)
    return None if worth is None else max(worth - sales_minor - details.get(PAID, 0), 0)


def resolve(
    incident: IncidentFacts, resolution: Resolution, amount_minor: int, guest: PayingGuest | None, comment: str, changes: Changes
) -> None:
    """Book what the resolution says; `guest` is needed for `charged` and `corrected`."""
    match resolution:
        case Resolution.CHARGED:
            assert guest is not None
            paid_minor = min(amount_minor, guest.available_minor)
            _book(incident, Account.GUEST, Account.SALES, paid_minor, guest, changes)
            _book(incident, Account.OVERPOUR_LOSS, Account.SALES, amount_minor - paid_minor, guest, changes)
        case Resolution.WRITTEN_OFF:
            _book(incident, Account.OVERPOUR_LOSS, Account.SALES, amount_minor, guest, changes)
        case Resolution.CORRECTED:
            if guest is not None:
                _book(incident, Account.ADJUSTMENT, Account.GUEST, amount_minor, guest, changes)
        case Resolution.NO_ACTION:
            pass
        case _:
            assert_never(resolution)
    subjects = [str(incident.incident_id), *(str(found) for found in (incident.pour_id, incident.tap_path) if found)]
    subjects += [str(guest.guest_id)] if guest else []
    details = {"kind": incident.kind, "resolution": resolution, "amount_minor": amount_minor, "comment": comment}
    changes.audited.append(Audited(action=AuditAction.INCIDENT_RESOLVED, subjects=tuple(subjects), details=details))


def _book(
    incident: IncidentFacts, debit: Account, credit: Account, amount_minor: int, guest: PayingGuest | None, changes: Changes
) -> None:
    if amount_minor <= 0:
        return
    changes.money.append(
        MoneyMoved(
            debit_account=debit,
            credit_account=credit,
            amount_minor=amount_minor,
            guest_id=guest.guest_id if guest else None,
            pour_id=incident.pour_id,
            incident_id=incident.incident_id,
            reason=incident.kind,
        )
    )
