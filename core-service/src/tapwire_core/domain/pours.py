"""The states of a pour and the transitions between them (SYSTEM.md, "A pour and its states"). Pure.

`pending_sync` is the only state with transitions. They change the same row; there is never a second one for one authorisation. Each
frees the hold and both leases in its own transaction, and nothing else does.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import Resolution, SyncStatus
from tapwire_core.domain.change_records import PourEnded
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.incidents import ENDED_BY_POUR, OpenIncident
from tapwire_core.domain.pour_reports import PourFacts, Report


class PendingPour(Struct, frozen=True, kw_only=True):
    """The pour that leases the tap now. `reported`: a report of it has come, readable or not."""

    pour_id: UUID
    visit_id: UUID
    guest_id: UUID
    hold_minor: int
    journal_id: UUID | None
    seq: int | None
    reported: bool
    open_incidents: tuple[OpenIncident, ...] = ()


class PourEvent(StrEnum):
    """Events that end a pour."""

    REPORT_COVERED = "report covered"
    REPORT_NOT_COVERED = "report not covered"
    REPORT_ZERO = "report of nothing"
    RECONCILED_BY_HAND = "reconciled by hand"
    PROVED_NEVER_STARTED = "proved never started"
    UNLOCKED_BY_HAND = "unlocked by hand"
    VISIT_CLOSED = "visit closed with void_pending"


TRANSITIONS: Final[Mapping[tuple[SyncStatus, PourEvent], SyncStatus]] = {
    (SyncStatus.PENDING_SYNC, PourEvent.REPORT_COVERED): SyncStatus.SYNCED,
    (SyncStatus.PENDING_SYNC, PourEvent.REPORT_NOT_COVERED): SyncStatus.REJECTED,
    (SyncStatus.PENDING_SYNC, PourEvent.REPORT_ZERO): SyncStatus.VOIDED,
    (SyncStatus.PENDING_SYNC, PourEvent.RECONCILED_BY_HAND): SyncStatus.RECONCILED,
    (SyncStatus.PENDING_SYNC, PourEvent.PROVED_NEVER_STARTED): SyncStatus.VOIDED,
    (SyncStatus.PENDING_SYNC, PourEvent.UNLOCKED_BY_HAND): SyncStatus.VOIDED,
    (SyncStatus.PENDING_SYNC, PourEvent.VISIT_CLOSED): SyncStatus.VOIDED,
}
"""A pair that is missing here is impossible: a terminal state has no transitions, and later reports are only recorded."""


def state_diagram() -> str:
    """The table as a Mermaid diagram, for the docs."""
    transitions = [f"    {before} --> {after}: {event}" for (before, event), after in TRANSITIONS.items()]
    ends = [f"    {state} --> [*]" for state in SyncStatus if state is not SyncStatus.PENDING_SYNC]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {SyncStatus.PENDING_SYNC}: granted", *transitions, *ends])


def end_pour(
    pour: PourFacts | PendingPour,
    event: PourEvent,
    changes: Changes,
    report: Report | None = None,
    *,
    volume_ml: int = 0,
    amount_minor: int = 0,
    loss_minor: int = 0,
) -> None:
    """End a pending pour by an event's transition, and resolve the incidents that waited for it.

    A `report` gives the end reason and the duration.
    """
    state = pour.sync_status if isinstance(pour, PourFacts) else SyncStatus.PENDING_SYNC
    changes.ended.append(
        PourEnded(
            pour_id=pour.pour_id,
            visit_id=pour.visit_id,
            guest_id=pour.guest_id,
            sync_status=TRANSITIONS[state, event],
            volume_ml=volume_ml,
            amount_minor=amount_minor,
            loss_minor=loss_minor,
            end_reason=report.end_reason if report else None,
            duration_ms=report.duration_ms if report else None,
        )
    )
    for incident in pour.open_incidents:
        if incident.kind in ENDED_BY_POUR:
            changes.resolve_incident(
                incident.incident_id, incident.kind, Resolution.NO_ACTION, "the pour ended", pour.pour_id, changes.tap_path
            )
