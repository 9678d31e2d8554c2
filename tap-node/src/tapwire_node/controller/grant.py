"""The grant, the answer that may open the valve (SYSTEM.md, "The tap node").

`grant_refusal_reason` is checked before the grant is written to the journal, and again when it is on disk, right before the valve
opens: anything may have changed meanwhile. A refused grant is reported as never started, so that the core frees its hold.
"""

from dataclasses import replace

from tapwire_contracts.messages import PourAuthorized
from tapwire_node.controller.effects import Effects, LogLine, WriteGrant, WriteRefusal
from tapwire_node.controller.events import GrantAlreadyJournalled, GrantJournalled, GrantReceived, Moment
from tapwire_node.controller.pouring import never_started_fact, open_valve
from tapwire_node.controller.question import screen_effect, wait_for_removal
from tapwire_node.controller.screen_texts import ScreenText
from tapwire_node.controller.state import Grant, State, StepResult, out_of_service_reason, speaks_another_contract


def receive_grant(state: State, event: GrantReceived) -> StepResult:
    """Write the grant to the journal if it may open the valve, or refuse it."""
    message = event.grant
    if state.grant is not None and state.grant.message.pour_id == message.pour_id:
        return state, ()
    reason = "another grant is being written" if state.grant else grant_refusal_reason(state, message, event.at)
    if reason is not None:
        return refuse_grant(state, message, event.at, reason)
    grant = Grant(message, started_at=event.at.wall)
    return replace(state, grant=grant), (WriteGrant(message, grant.started_at, state.odometer.ml),)


def grant_refusal_reason(state: State, grant: PourAuthorized, at: Moment) -> str | None:
    """Why the valve must not open for this grant; None when it may."""
    question = state.question
    if question is None or question.asked is None or question.event_id != grant.request_id:
        return "it does not answer the last question"
    if at.now_ms - question.asked_ms > state.limits.request_timeout_ms:
        return "it is late"
    if state.card_on_reader != question.card_uid or grant.card_uid != question.card_uid:
        return "its card is not on the reader"
    if state.pour is not None or state.valve_open:
        return "another pour is in progress"
    if state.faults:
        return "the hardware has a fault"
    if speaks_another_contract(state):
        return "a core worker speaks another contract version"
    return out_of_service_reason(state)


def open_if_still_true(state: State, event: GrantJournalled) -> StepResult:
    """Check every condition again, now that the grant is on disk, and open the valve."""
    grant = state.grant
    if grant is None or grant.message.pour_id != event.pour_id:
        return state, ()
    reason = "the core revoked it" if grant.stopped else grant_refusal_reason(state, grant.message, event.at)
    state = replace(state, grant=None)
    if reason is not None:
        return refuse_grant(state, grant.message, event.at, reason)
    return open_valve(replace(state, question=None), grant, event.at)


def refuse_journalled_grant(state: State, event: GrantJournalled) -> StepResult:
    """Refuse a grant whose question was abandoned while it was written."""
    grant = state.grant
    if grant is None or grant.message.pour_id != event.pour_id:
        return state, ()
    return refuse_grant(replace(state, grant=None), grant.message, event.at, "the question was abandoned")


def drop_repeated_grant(state: State, event: GrantAlreadyJournalled) -> StepResult:
    """Ignore a grant whose pour the journal already has."""
    if state.grant is None or state.grant.message.pour_id != event.pour_id:
        return state, ()
    return replace(state, grant=None), (LogLine(f"grant {event.pour_id} ignored: the journal already has this pour"),)


def refuse_late_grant(state: State, event: GrantReceived) -> StepResult:
    """Refuse a grant that no question waits for; a repeated grant of the running pour is ignored."""
    running = (state.pour and state.pour.pour_id, state.grant and state.grant.message.pour_id)
    if event.grant.pour_id in running:
        return state, ()
    return refuse_grant(state, event.grant, event.at, "no question is waiting")


def refuse_grant(state: State, grant: PourAuthorized, at: Moment, reason: str) -> StepResult:
    """Report a grant for a question of this boot as never started, and mark it as dead; ignore any other."""
    if grant.request_id not in state.asked_ids:
        return state, (LogLine(f"grant {grant.pour_id} ignored: not this boot's question"),)
    effects: Effects = (
        WriteRefusal(never_started_fact(state, grant.pour_id, grant.card_uid, at)),
        LogLine(f"grant {grant.pour_id} refused: {reason}"),
    )
    if state.question is not None and state.question.event_id == grant.request_id:
        return wait_for_removal(state, (screen_effect(state, ScreenText.LAY_CARD_AGAIN), *effects))
    return state, effects
