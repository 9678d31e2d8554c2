"""Beer that flowed without a grant: its stock movement, its stretch of the odometer, and its incident. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import AuditAction, FlowCause, IncidentKind
from tapwire_core.domain.change_records import FlowRemembered, StretchAccounted
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import StockKind
from tapwire_core.domain.odometers import StretchFacts, account_fact
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pour_reports import CurrentTap, Report, implausibility


class LeakFacts(Struct, frozen=True, kw_only=True):
    """The tap's unresolved incident `unattributed_flow`, locked."""

    incident_id: UUID
    details: dict[str, Any]


def record_new_flow(
    path: str,
    flow: UnattributedFlow,
    tap: CurrentTap,
    overlapping: Sequence[StretchFacts],
    leak: LeakFacts | None,
    policy: Policy,
    changes: Changes,
    *,
    set_back: bool = False,
) -> str | None:
    """Record a new flow. Return why it is implausible, then its stretch stays a hole; None for a plausible one.

    `overlapping`: the stretches of this journal's odometer that overlap the flow's. `leak`: the incident that it adds to.
    `set_back`: the flow's boot is proved to have an older copy of its journal.
    """
    kind = StockKind.UNATTRIBUTED if flow.cause is FlowCause.CLOSED_VALVE else StockKind.LINE_CLEANING
    changes.flow = FlowRemembered(
        event_id=flow.event_id,
        cause=flow.cause,
        volume_ml=flow.volume_ml,
        duration_ms=flow.duration_ms,
        card_uid=flow.card_uid,
        keg_id=tap.keg_id,
        stock_kind=kind,
    )
    why_not = implausibility(_as_report(path, flow), policy)
    if why_not is not None:
        details = {"why": why_not, "reported_volume_ml": flow.volume_ml, "cause": flow.cause}
        changes.raise_incident(IncidentKind.INVALID_REPORT, f"{path} {flow.event_id}", details)
        return why_not
    changes.move_stock(tap.keg_id, kind, flow.volume_ml, cause_id=flow.event_id)
    details = {
        "cause": flow.cause,
        "volume_ml": flow.volume_ml,
        "value_minor": tap.value_of(flow.volume_ml),
        "card_uid": flow.card_uid,
    }
    changes.audit(AuditAction.UNATTRIBUTED_FLOW_RECORDED, flow.event_id, path, details=details)
    if flow.cause is FlowCause.CLOSED_VALVE:
        _raise_leak(path, details, leak, changes)
    stretch = StretchAccounted(
        journal_id=flow.journal_id,
        from_ml=flow.odometer_from_ml,
        to_ml=flow.odometer_to_ml,
        fact_id=flow.event_id,
        boot_id=flow.boot_id,
        set_back=set_back,
    )
    account_fact(stretch, flow.volume_ml, overlapping, changes)
    return None


def _raise_leak(path: str, details: Mapping[str, object], leak: LeakFacts | None, changes: Changes) -> None:
    """Add a leak to the tap's unresolved incident, or raise one."""
    if leak is None:
        changes.raise_incident(IncidentKind.UNATTRIBUTED_FLOW, path, details)
    else:
        sums = {name: _sum(leak.details.get(name), details[name]) for name in ("volume_ml", "value_minor")}
        together = {**leak.details, **details, **sums}
        changes.update_incident(leak.incident_id, IncidentKind.UNATTRIBUTED_FLOW, together, seen_again=True)


def _sum(before: object, added: object) -> int | None:
    """The sum; None where one part is unknown."""
    return before + added if isinstance(before, int) and isinstance(added, int) else None


def _as_report(path: str, flow: UnattributedFlow) -> Report:
    return Report(path, flow.event_id, flow.card_uid or "", flow.volume_ml, flow.duration_ms, None, None, None)
