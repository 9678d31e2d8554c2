"""The states of a pour and the ways between them (SYSTEM.md, "A pour and its states").

`pending_sync` is the only state with ways out. The same row moves; there is never a second one for one authorisation. Each way out
frees the hold and both leases in the transaction that takes it, and nothing else does.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tapwire_contracts.reasons import SyncStatus


class PourEvent(StrEnum):
    """What may happen to a pour."""

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
"""A pair that is not here never happens: a terminal state has no way out, and what comes later is only recorded."""


def state_diagram() -> str:
    """The table as a Mermaid diagram, for the docs."""
    ways = [f"    {before} --> {after}: {event}" for (before, event), after in TRANSITIONS.items()]
    ends = [f"    {state} --> [*]" for state in SyncStatus if state is not SyncStatus.PENDING_SYNC]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {SyncStatus.PENDING_SYNC}: granted", *ways, *ends])
