"""A disk that hangs raises no error: a journal whose oldest write has waited for `journal_stall_ms` counts as broken.

The journal makes one write after the other, so an answer says of all that were handed over before that they are done. While the
journal can't be written nothing is measured: what is kept for it is answered when it can.
"""

from dataclasses import replace
from typing import Final
from uuid import UUID

from tapwire_node.controller.effects import (
    Alarm,
    Effect,
    Effects,
    Note,
    WriteCheckpoint,
    WriteFlow,
    WriteGrant,
    WriteQuestion,
    WriteReport,
    WriteServiceRun,
)
from tapwire_node.controller.events import (
    CheckpointJournalled,
    Event,
    FactJournalled,
    GrantJournalled,
    GrantKnown,
    Moment,
    QuestionJournalled,
    ServiceRunJournalled,
)
from tapwire_node.controller.observations import Step
from tapwire_node.controller.state import State, Unanswered

CHECKPOINT: Final = UUID(int=1)
"""What answers a checkpoint names no id; one at a time is on its way."""


def watch_journal(state: State, event: Event) -> Step:
    """Take note of an answer, and say when that changes whether the journal keeps up."""
    journal = state.journal
    if not journal.unanswered:
        return state, ()
    unanswered = still_unanswered(journal.unanswered, answer_id_of(event))
    stalled = bool(unanswered) and event.at.now_ms - unanswered[0].handed_ms >= state.limits.journal_stall_ms
    state = replace(state, journal=replace(journal, unanswered=unanswered, stalled=stalled))
    if stalled and not journal.stalled:
        return state, (Alarm(f"journal: a write has not come back for {state.limits.journal_stall_ms} ms: look at the disk"),)
    return state, (Note("the journal keeps up again"),) if journal.stalled and not stalled else ()


def note_handed_over(state: State, effects: Effects, at: Moment) -> State:
    """Wait for the answers to what a step wants written."""
    answer_ids = (answer_due(effect) for effect in effects)
    handed = tuple(Unanswered(answer_id, at.now_ms) for answer_id in answer_ids if answer_id is not None)
    if not handed or not state.journal.writable:
        return state
    return replace(state, journal=replace(state.journal, unanswered=(*state.journal.unanswered, *handed)))


def is_checkpoint_on_its_way(state: State) -> bool:
    """Whether the last checkpoint is not on disk yet."""
    return any(write.answer_id == CHECKPOINT for write in state.journal.unanswered)


def still_unanswered(unanswered: tuple[Unanswered, ...], answer_id: UUID | None) -> tuple[Unanswered, ...]:
    """The writes after the one that is answered."""
    for position, write in enumerate(unanswered, start=1):
        if write.answer_id == answer_id:
            return unanswered[position:]
    return unanswered


def answer_due(effect: Effect) -> UUID | None:
    """What the answer to a write will name; None where there may be none."""
    match effect:
        case WriteQuestion():
            return effect.event_id
        case WriteGrant():
            return effect.grant.pour_id
        case WriteReport() | WriteServiceRun() | WriteFlow(ended=True):
            return effect.report.fact_id
        case WriteCheckpoint():
            return CHECKPOINT
        case _:
            return None


def answer_id_of(event: Event) -> UUID | None:
    """Which write an event answers."""
    match event:
        case QuestionJournalled():
            return event.event_id
        case GrantJournalled() | GrantKnown():
            return event.pour_id
        case FactJournalled():
            return event.fact.fact_id
        case ServiceRunJournalled():
            return event.run_id
        case CheckpointJournalled():
            return CHECKPOINT
        case _:
            return None
