"""Detection of a stalled journal: a hanging disk raises no error, so the oldest write may wait at most `journal_stall_ms`.

Writes are made in order, so an answer also completes all earlier ones. While the journal is broken nothing is measured, as writes
are then kept until it works again.
"""

from dataclasses import replace
from typing import Final
from uuid import UUID

from tapwire_node.controller.effects import (
    Effect,
    Effects,
    LogLine,
    RaiseAlarm,
    WriteCheckpoint,
    WriteFlow,
    WriteGrant,
    WriteQuestion,
    WriteRenewal,
    WriteReport,
    WriteServiceRun,
)
from tapwire_node.controller.events import (
    CheckpointJournalled,
    Event,
    FactJournalled,
    GrantAlreadyJournalled,
    GrantJournalled,
    JournalRenewed,
    Moment,
    QuestionJournalled,
    ServiceRunJournalled,
)
from tapwire_node.controller.state import PendingWrite, State, StepResult

CHECKPOINT_ANSWER_ID: Final = UUID(int=1)
"""Stands for the id that a checkpoint's answer lacks; one checkpoint at a time is pending."""


def watch_journal_stall(state: State, event: Event) -> StepResult:
    """Remove an answered write, and raise an alarm when the journal begins to stall."""
    journal = state.journal
    if not journal.pending_writes:
        return state, ()
    pending_writes = writes_after(journal.pending_writes, given_answer_id(event))
    stalled = bool(pending_writes) and event.at.now_ms - pending_writes[0].handed_ms >= state.limits.journal_stall_ms
    state = replace(state, journal=replace(journal, pending_writes=pending_writes, stalled=stalled))
    if stalled and not journal.stalled:
        return state, (RaiseAlarm(f"journal: a write has taken more than {state.limits.journal_stall_ms} ms: check the disk"),)
    return state, (LogLine("the journal keeps up again"),) if journal.stalled and not stalled else ()


def track_writes(state: State, effects: Effects, at: Moment) -> State:
    """Add the writes of a step to those that wait for an answer."""
    answer_ids = (expected_answer_id(effect) for effect in effects)
    handed = tuple(PendingWrite(answer_id, at.now_ms) for answer_id in answer_ids if answer_id is not None)
    if not handed or not state.journal.writable:
        return state
    return replace(state, journal=replace(state.journal, pending_writes=(*state.journal.pending_writes, *handed)))


def is_checkpoint_pending(state: State) -> bool:
    """True while the last checkpoint is not on disk."""
    return any(write.answer_id == CHECKPOINT_ANSWER_ID for write in state.journal.pending_writes)


def writes_after(pending_writes: tuple[PendingWrite, ...], answer_id: UUID | None) -> tuple[PendingWrite, ...]:
    """The writes after the answered one."""
    for position, write in enumerate(pending_writes, start=1):
        if write.answer_id == answer_id:
            return pending_writes[position:]
    return pending_writes


def expected_answer_id(effect: Effect) -> UUID | None:
    """The id that the answer to a write will name; None for writes that may stay unanswered."""
    match effect:
        case WriteQuestion():
            return effect.event_id
        case WriteGrant():
            return effect.grant.pour_id
        case WriteReport() | WriteServiceRun() | WriteFlow(ended=True):
            return effect.report.fact_id
        case WriteCheckpoint():
            return CHECKPOINT_ANSWER_ID
        case WriteRenewal():
            return effect.journal_id
        case _:
            return None


def given_answer_id(event: Event) -> UUID | None:
    """The id of the write that an event answers; None for other events."""
    match event:
        case QuestionJournalled():
            return event.event_id
        case GrantJournalled() | GrantAlreadyJournalled():
            return event.pour_id
        case FactJournalled():
            return event.fact.fact_id
        case ServiceRunJournalled():
            return event.run_id
        case JournalRenewed():
            return event.journal_id
        case CheckpointJournalled():
            return CHECKPOINT_ANSWER_ID
        case _:
            return None
