"""Facts about incidents: the pour of each, and its volume's worth. Pure."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import IncidentKind

WORTH: Final[Mapping[IncidentKind, str]] = {
    IncidentKind.LATE_MISMATCH: "reported_value_minor",
    IncidentKind.REJECTED_INSUFFICIENT_FUNDS: "due_minor",
}
"""Key of the volume's worth in an incident's details, where it is not `value_minor`."""
PAID: Final = "paid_minor"
"""Key of the amount already booked for the incident's volume, before its pour was known."""
NOTHING_TO_BOOK: Final = frozenset({IncidentKind.KEG_LOW, IncidentKind.KEG_EXPIRED, IncidentKind.CLEANING_DUE})
"""Incidents that move neither money nor stock: they are resolved as `no_action` only."""
ENDED_BY_POUR: Final = frozenset({IncidentKind.SYNC_TIMEOUT, IncidentKind.JOURNAL_LOST})
"""Incidents that the end of their pour resolves."""


class OpenIncident(Struct, frozen=True, kw_only=True):
    """An unresolved incident of a pour."""

    incident_id: UUID
    kind: IncidentKind


def own_pour(kind: IncidentKind, pour_id: UUID | None) -> UUID | None:
    """The pour that an incident is about; None for a `missing_pending`: its report named a pour that was not its own."""
    return None if kind is IncidentKind.MISSING_PENDING else pour_id


def worth_minor(kind: IncidentKind, details: Mapping[str, Any]) -> int | None:
    """The worth of an incident's volume; None where it is unknown."""
    worth = details.get(WORTH.get(kind, "value_minor"))
    return worth if isinstance(worth, int) else None


def unpaid_minor(kind: IncidentKind, details: Mapping[str, Any], sales_minor: int) -> int | None:
    """The worth of an incident's volume less `sales_minor` of its pour and earlier payments; None where it is unknown."""
    worth = worth_minor(kind, details)
    return None if worth is None else max(worth - sales_minor - details.get(PAID, 0), 0)
