"""The core's commands besides grants and denials: stop a pour, report a pour, and the verdicts on facts."""

from dataclasses import replace
from typing import Final

from tapwire_contracts.codec import encode
from tapwire_node.controller.effects import FindReport, LogLine, PublishState, WriteTombstone, WriteVerdict
from tapwire_node.controller.events import FlowVerdictReceived, ReportRequested, StopReceived, VerdictReceived
from tapwire_node.controller.pouring import never_started_fact
from tapwire_node.controller.service_run import is_current_run
from tapwire_node.controller.state import State, StepResult

UNKNOWN_CARD_UID: Final = "00000000"
"""The `card_uid` of a report on an unknown pour when the journal has never asked a question."""


def receive_stop(state: State, event: StopReceived) -> StepResult:
    """End the pour, revoke the grant, or mark an unknown id as dead."""
    stop, note = event.stop, LogLine(f"stop for pour {event.stop.pour_id}: {event.stop.reason}")
    if state.pour is not None and state.pour.pour_id == stop.pour_id:
        return replace(state, pour=replace(state.pour, stopped=True)), (note,)
    if state.grant is not None and state.grant.message.pour_id == stop.pour_id:
        return replace(state, grant=replace(state.grant, stopped=True)), (note,)
    return state, (WriteTombstone(stop.pour_id), note)


def answer_report_request(state: State, event: ReportRequested) -> StepResult:
    """Publish that the pour is running, or look for its report in the journal."""
    ask = event.ask
    runs = state.is_metering_pour and state.pour is not None and state.pour.pour_id == ask.pour_id
    if runs or (state.grant is not None and state.grant.message.pour_id == ask.pour_id):
        return state, (PublishState(),)
    return state, (FindReport(ask.journal_id, never_started_fact(state, ask.pour_id, UNKNOWN_CARD_UID, event.at)),)


def receive_verdict(state: State, event: VerdictReceived) -> StepResult:
    """Store the verdict on a report, which is then no longer sent. A verdict on a running pour is ignored."""
    verdict = event.verdict
    runs = state.is_metering_pour and state.pour is not None and state.pour.pour_id == verdict.pour_id
    if runs or verdict.pour_id not in state.journal.unsettled:
        return state, ()
    unsettled = tuple(pour_id for pour_id in state.journal.unsettled if pour_id != verdict.pour_id)
    awaited = None if state.awaited and state.awaited.pour_id == verdict.pour_id else state.awaited
    state = replace(state, awaited=awaited, journal=replace(state.journal, unsettled=unsettled))
    note = LogLine(f"pour {verdict.pour_id}: {verdict.status}, {verdict.outcome}, {verdict.volume_ml} ml")
    return state, (WriteVerdict(verdict.pour_id, encode(verdict)), note)


def receive_flow_verdict(state: State, event: FlowVerdictReceived) -> StepResult:
    """Store the answer to an unattributed flow, which is then no longer sent. One for a running flow is ignored."""
    event_id, leak = event.verdict.event_id, state.closed_valve_flow.leak
    runs = is_current_run(state, event_id) or (leak is not None and leak.event_id == event_id)
    if runs or event_id not in state.journal.open_flows:
        return state, ()
    state = replace(state, journal=replace(state.journal, open_flows=state.journal.open_flows - {event_id}))
    return state, (WriteVerdict(event_id, encode(event.verdict)),)
