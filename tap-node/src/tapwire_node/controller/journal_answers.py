"""The journal's answers: it is open, a write is on disk, a write failed, a report was found or is missing."""

from dataclasses import replace
from uuid import UUID

from tapwire_contracts.messages import PourCompleted, PourUnknown
from tapwire_contracts.reasons import EndReason
from tapwire_node.controller.closing_lead import REMEMBERED_CLOSINGS
from tapwire_node.controller.effects import Effects, LogLine, Publish, RaiseAlarm, SendFact, WriteRefusal
from tapwire_node.controller.events import (
    CheckpointJournalled,
    FactJournalled,
    GrantJournalled,
    JournalFailed,
    JournalOpened,
    Moment,
    RecoveredJournal,
    ReportFound,
    ReportMissing,
)
from tapwire_node.controller.odometer import Odometer
from tapwire_node.controller.pouring import never_started_fact
from tapwire_node.controller.service_run import fail_waiting_run
from tapwire_node.controller.state import AwaitedVerdict, ClosedValveFlow, State, StepResult


def observe_journal_opened(state: State, event: JournalOpened) -> StepResult:
    """The journal can be written; the first time in a boot, its content is adopted."""
    if state.journal.opened:
        return replace(state, journal=replace(state.journal, writable=True)), (LogLine("the journal can be written again"),)
    alarms = tuple(
        RaiseAlarm(f"the report {fact_id} can't be read in the journal and is not sent: save it (tapwire-node journal export)")
        for fact_id in event.recovered.unreadable
    )
    return adopt_journal(state, event.recovered, event.at), alarms


def adopt_journal(state: State, recovered: RecoveredJournal, at: Moment) -> State:
    """Continue from the journal's odometer and config; add what flowed before it could be opened."""
    config = state.config or recovered.config
    factor = config.pulses_per_liter if config else state.odometer.pulses_per_liter
    start = Odometer(
        ml=recovered.odometer_ml,
        remainder=recovered.odometer_remainder,
        pulses=state.odometer.pulses,
        pulses_per_liter=recovered.pulses_per_liter or factor,
    ).recalibrate(factor)
    journal = replace(
        state.journal,
        journal_id=recovered.journal_id,
        opened=True,
        writable=True,
        odometer_ml=recovered.odometer_ml,
        unsettled=recovered.unsettled,
        open_flows=recovered.open_flows,
        checkpoint_ms=at.now_ms,
        checkpoint_ml=recovered.odometer_ml,
        checkpoint_pulses=0,
    )
    return replace(
        state,
        config=config,
        odometer=replace(start, ml=start.ml + state.odometer.ml),
        closed_valve_flow=ClosedValveFlow(from_ml=start.ml, seen_ml=start.ml, since_ms=at.now_ms),
        journal=journal,
        closings=recovered.closings[-REMEMBERED_CLOSINGS:],
        card_must_be_removed=state.card_must_be_removed or recovered.interrupted,
    )


def observe_checkpoint(state: State, event: CheckpointJournalled) -> StepResult:
    """Record the odometer that is on disk."""
    return replace(state, journal=replace(state.journal, odometer_ml=event.odometer_ml)), ()


def observe_grant_journalled(state: State, event: GrantJournalled) -> StepResult:
    """Count the pour among those without a verdict, from its grant on."""
    return add_unsettled(state, event.pour_id), ()


def add_unsettled(state: State, pour_id: UUID) -> State:
    """Count the pour among those without a verdict."""
    if pour_id in state.journal.unsettled:
        return state
    return replace(state, journal=replace(state.journal, unsettled=(*state.journal.unsettled, pour_id)))


def observe_journal_failed(state: State, event: JournalFailed) -> StepResult:
    """The journal can't be written: no valve opens, an open one closes, and a grant that was being written is dead."""
    was_writable, grant = state.journal.writable, state.grant
    state = replace(
        state, grant=None, journal=replace(state.journal, writable=False, pending_writes=(), stalled=False, renewing=False)
    )
    effects: Effects = (RaiseAlarm(f"journal: {event.text}"),) if was_writable or not state.journal.opened else ()
    if grant is not None:
        effects += (WriteRefusal(never_started_fact(state, grant.message.pour_id, grant.message.card_uid, event.at)),)
    state, refused = fail_waiting_run(state, event.text)
    return state, (*effects, *refused)


def send_journalled_fact(state: State, event: FactJournalled) -> StepResult:
    """Send a fact that is on disk. The next question waits `settle_wait_ms` for the verdict on a pour's report."""
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
    """Record the odometer that was written with a report; it never goes back."""
    return replace(state, journal=replace(state.journal, odometer_ml=max(state.journal.odometer_ml, odometer_ml)))


def send_found_report(state: State, event: ReportFound) -> StepResult:
    """Send the report that the core asked for, also when its verdict is already known."""
    return state, (SendFact(event.fact, event.settled),)


def publish_pour_unknown(state: State, event: ReportMissing) -> StepResult:
    """Tell the core that only a person can say how the pour ended (`pour_unknown`)."""
    unknown = PourUnknown(pour_id=event.pour_id, journal_id=state.journal.journal_id)
    if event.asked_journal_id == state.journal.journal_id:
        text = f"pour {event.pour_id} was granted here, but its report was deleted or can't be read"
    else:
        text = f"pour {event.pour_id} belongs to journal {event.asked_journal_id}, this is another one"
    return state, (Publish(unknown), RaiseAlarm(text))
