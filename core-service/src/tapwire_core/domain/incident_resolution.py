"""Resolutions of incidents and their bookings (SYSTEM.md, "Operators"). Pure.

`charged` takes the amount from the guest, at most what is available; the rest is `overpour_loss`. `written_off` books all of it as
`overpour_loss`. `corrected` gives it back to the guest as an adjustment. `no_action` books nothing.

What a reversed payment lost is `payment_loss` already, and no sale: `charged` takes it from the guest instead, as far as available,
and `written_off` moves nothing.
"""

from typing import Any, assert_never
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import IncidentKind, IncidentStatus, Resolution
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.house_credit import HouseCredit
from tapwire_core.domain.incidents import unpaid_minor


class IncidentFacts(Struct, frozen=True, kw_only=True):
    """An incident under its lock. `sales_minor`: its pour's sales so far, by all payers."""

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
        """The part of its worth that is not paid yet."""
        return unpaid_minor(self.kind, self.details, self.sales_minor)


class PayingGuest(Struct, frozen=True, kw_only=True):
    """The guest whom an incident is charged to, or refunded to.

    `house_credit`: with what the incident's pour took of it. `erased`: nothing is booked on their account any longer.
    """

    guest_id: UUID
    available_minor: int
    house_credit: HouseCredit
    erased: bool = False


def resolve(
    incident: IncidentFacts, resolution: Resolution, amount_minor: int, guest: PayingGuest | None, comment: str, changes: Changes
) -> None:
    """Resolve an incident and make its bookings; `guest` is needed for `charged` and `corrected`."""
    if guest is not None:
        changes.note_house_credit(guest.guest_id, guest.house_credit)
    match resolution:
        case Resolution.CHARGED if incident.kind is IncidentKind.PAYMENT_REVERSED:
            assert guest is not None
            amount_minor = min(amount_minor, guest.available_minor, incident.unpaid_minor or 0)
            changes.move_money(
                Account.GUEST,
                Account.PAYMENT_LOSS,
                amount_minor,
                guest_id=guest.guest_id,
                incident_id=incident.incident_id,
                payment_id=UUID(incident.details["payment_id"]),
                payment_return_id=UUID(incident.details["payment_return_id"]),
                reason=incident.kind,
            )
        case Resolution.WRITTEN_OFF if incident.kind is IncidentKind.PAYMENT_REVERSED:
            pass
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
    subjects = (incident.pour_id, incident.tap_path, guest.guest_id if guest else None)
    changes.resolve_incident(incident.incident_id, incident.kind, resolution, comment, *subjects, amount_minor=amount_minor)


def _book(
    incident: IncidentFacts, debit: Account, credit: Account, amount_minor: int, guest: PayingGuest | None, changes: Changes
) -> None:
    changes.move_money(
        debit,
        credit,
        max(amount_minor, 0),
        guest_id=guest.guest_id if guest else None,
        pour_id=incident.pour_id,
        incident_id=incident.incident_id,
        reason=incident.kind,
    )
