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
"""The `card_uid` of a report on a pour that this journal never had, when it has asked no question either."""


def receive_stop(state: State, event: StopReceived) -> StepResult:
    """End the pour, take the grant back, or mark an id that was never heard of as dead."""
    stop, note = event.stop, LogLine(f"stop for pour {event.stop.pour_id}: {event.stop.reason.value}")
    if state.pour is not None and state.pour.pour_id == stop.pour_id:
        return replace(state, pour=replace(state.pour, stopped=True)), (note,)
    if state.grant is not None and state.grant.message.pour_id == stop.pour_id:
        return replace(state, grant=replace(state.grant, stopped=True)), (note,)
    return state, (WriteTombstone(stop.pour_id), note)


def answer_report_request(state: State, event: ReportRequested) -> StepResult:
    """Say that the pour is running, or let the journal say what became of it."""
    ask = event.ask
    runs = state.is_metering_pour and state.pour is not None and state.pour.pour_id == ask.pour_id
    if runs or (state.grant is not None and state.grant.message.pour_id == ask.pour_id):
        return state, (PublishState(),)
    return state, (FindReport(ask.journal_id, never_started_fact(state, ask.pour_id, UNKNOWN_CARD_UID, event.at)),)


def receive_verdict(state: State, event: VerdictReceived) -> StepResult:
    """A report is settled and need not be sent again. A verdict on a pour that still runs is none."""
    verdict = event.verdict
    runs = state.is_metering_pour and state.pour is not None and state.pour.pour_id == verdict.pour_id
    if runs or verdict.pour_id not in state.journal.unsettled:
        return state, ()
    unsettled = tuple(pour_id for pour_id in state.journal.unsettled if pour_id != verdict.pour_id)
    awaited = None if state.awaited and state.awaited.pour_id == verdict.pour_id else state.awaited
    state = replace(state, awaited=awaited, journal=replace(state.journal, unsettled=unsettled))
    note = LogLine(f"pour {verdict.pour_id}: {verdict.status.value}, {verdict.outcome.value}, {verdict.volume_ml} ml")
    return state, (WriteVerdict(verdict.pour_id, encode(verdict)), note)


def receive_flow_verdict(state: State, event: FlowVerdictReceived) -> StepResult:
    """An unattributed flow is recorded and need not be sent again."""
    event_id, leak = event.verdict.event_id, state.closed_valve_flow.leak
    runs = is_current_run(state, event_id) or (leak is not None and leak.event_id == event_id)
    if runs or event_id not in state.journal.open_flows:
        return state, ()
    state = replace(state, journal=replace(state.journal, open_flows=state.journal.open_flows - {event_id}))
    return state, (WriteVerdict(event_id, encode(event.verdict)),)
