"""What the core says about pours and facts besides answering a question, and what the journal answers to it."""

from dataclasses import replace
from typing import Final
from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import PourCompleted, PourUnknown
from tapwire_contracts.reasons import EndReason
from tapwire_node.controller.effects import (
    Effects,
    FindReport,
    LogLine,
    Publish,
    PublishState,
    RaiseAlarm,
    SendFact,
    WriteRefusal,
    WriteTombstone,
    WriteVerdict,
)
from tapwire_node.controller.events import (
    FactJournalled,
    FlowVerdictReceived,
    GrantJournalled,
    JournalFailed,
    ReportFound,
    ReportMissing,
    ReportRequested,
    StopReceived,
    VerdictReceived,
)
from tapwire_node.controller.observations import StepResult
from tapwire_node.controller.pouring import never_started_fact
from tapwire_node.controller.service_run import fail_waiting_run, is_current_run
from tapwire_node.controller.state import AwaitedVerdict, State

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


# ── the journal answers ─────────────────────────────────────────────────────


def observe_grant_journalled(state: State, event: GrantJournalled) -> StepResult:
    """From here on the pour is one without a verdict."""
    return add_unsettled(state, event.pour_id), ()


def add_unsettled(state: State, pour_id: UUID) -> State:
    """Count the pour among those without a verdict."""
    if pour_id in state.journal.unsettled:
        return state
    return replace(state, journal=replace(state.journal, unsettled=(*state.journal.unsettled, pour_id)))


def observe_journal_failed(state: State, event: JournalFailed) -> StepResult:
    """Nothing can be written: no valve opens, an open one closes, and a grant that was on its way to disk is dead."""
    was_writable, grant = state.journal.writable, state.grant
    state = replace(state, grant=None, journal=replace(state.journal, writable=False, pending_writes=(), stalled=False))
    effects: Effects = (RaiseAlarm(f"journal: {event.text}"),) if was_writable or not state.journal.opened else ()
    if grant is not None:
        effects += (WriteRefusal(never_started_fact(state, grant.message.pour_id, grant.message.card_uid, event.at)),)
    state, refused = fail_waiting_run(state, event.text)
    return state, (*effects, *refused)


def send_journalled_fact(state: State, event: FactJournalled) -> StepResult:
    """A report is on disk: send it. The next question waits a moment for its verdict."""
    message, now_ms = event.fact.message, event.at.now_ms
    effects: Effects = (SendFact(event.fact, settled=False),)
    if not isinstance(message, PourCompleted):
        return raise_stored_odometer(state, message.odometer_to_ml), effects
    state = add_unsettled(state, message.pour_id)
    if message.end_reason is not EndReason.NEVER_STARTED:
        state = raise_stored_odometer(state, message.odometer_to_ml)
    if state.pour is not None and state.pour.pour_id == message.pour_id:
        return replace(state, pour=replace(state.pour, handed_ms=now_ms)), effects
    awaited = AwaitedVerdict(message.pour_id, until_ms=now_ms + state.limits.settle_wait_ms)
    return replace(state, awaited=awaited, card_must_be_removed=True), effects


def raise_stored_odometer(state: State, odometer_ml: int) -> State:
    """The odometer up to here is on disk, together with a report."""
    return replace(state, journal=replace(state.journal, odometer_ml=max(state.journal.odometer_ml, odometer_ml)))


def send_found_report(state: State, event: ReportFound) -> StepResult:
    """Send the report again, also when its verdict came long ago."""
    return state, (SendFact(event.fact, event.settled),)


def publish_pour_unknown(state: State, event: ReportMissing) -> StepResult:
    """The journal can't tell: only a person can say what became of the pour."""
    unknown = PourUnknown(pour_id=event.pour_id, journal_id=state.journal.journal_id)
    if event.asked_journal_id == state.journal.journal_id:
        text = f"pour {event.pour_id} was granted here, but its report is forgotten or can't be read"
    else:
        text = f"pour {event.pour_id} was asked by journal {event.asked_journal_id}, which is not this one"
    return state, (Publish(unknown), RaiseAlarm(text))


# ── verdicts ────────────────────────────────────────────────────────────────


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
