"""What beer that flowed without a grant changes: the keg, the odometer, and what a person is told. Pure."""

from collections.abc import Sequence

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import AuditAction, FlowCause, IncidentKind
from tapwire_core.domain.booking import book_unattributed, raise_overdrawn
from tapwire_core.domain.changes import Audited, Changes, FlowRemembered, IncidentRaised, StretchAccounted
from tapwire_core.domain.closed_sets import StockKind
from tapwire_core.domain.odometers import StretchFacts, account_fact
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pour_reports import Report, TapNow, why_not_believable


def record_new_flow(
    path: str, flow: UnattributedFlow, tap: TapNow, overlapping: Sequence[StretchFacts], policy: Policy, changes: Changes
) -> str | None:
    """Record a flow that was not recorded before; why it can't be believed, if it can't, and then its stretch stays a hole.

    `overlapping` are the stretches of this journal's odometer that meet the flow's.
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
    why_not = why_not_believable(_as_report(path, flow), policy)
    if why_not is not None:
        _raise_unbelievable(path, flow, why_not, changes)
    else:
        book_unattributed(tap, flow.volume_ml, kind, flow.event_id, changes)
        _tell_people(path, flow, tap, changes)
        stretch = StretchAccounted(
            journal_id=flow.journal_id, from_ml=flow.odometer_from_ml, to_ml=flow.odometer_to_ml, fact_id=flow.event_id
        )
        account_fact(stretch, flow.volume_ml, overlapping, changes)
        raise_overdrawn(tap.kegs, changes)
    return why_not


def _tell_people(path: str, flow: UnattributedFlow, tap: TapNow, changes: Changes) -> None:
    details = {
        "cause": flow.cause,
        "volume_ml": flow.volume_ml,
        "value_minor": tap.value_of(flow.volume_ml),
        "card_uid": flow.card_uid,
    }
    action = AuditAction.UNATTRIBUTED_FLOW_RECORDED
    changes.audited.append(Audited(action=action, subjects=(str(flow.event_id), path), details=details))
    if flow.cause is FlowCause.CLOSED_VALVE:
        changes.raised.append(IncidentRaised(kind=IncidentKind.UNATTRIBUTED_FLOW, cause=path, details=details))


def _raise_unbelievable(path: str, flow: UnattributedFlow, why: str, changes: Changes) -> None:
    details = {"why": why, "reported_volume_ml": flow.volume_ml, "cause": flow.cause}
    cause = f"{path} {flow.event_id}"
    changes.raised.append(IncidentRaised(kind=IncidentKind.INVALID_REPORT, cause=cause, details=details))


def _as_report(path: str, flow: UnattributedFlow) -> Report:
    return Report(path, flow.event_id, flow.card_uid or "", flow.volume_ml, flow.duration_ms, None, None, None)
