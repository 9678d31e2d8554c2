"""The question, and what its answer may do.

A card laid on an idle tap is a question. Its number goes to disk, then it leaves, and is repeated unchanged until it is answered
or `request_timeout_ms` have passed. A grant opens the valve only if every line of `grant_refusal_reason` still holds: once before it is
written to the journal, and once more when it is on disk.
"""

from dataclasses import replace

from tapwire_contracts.messages import MAX_UNSETTLED, CardPresented, PourAuthorized
from tapwire_contracts.reasons import DENIAL_TEXTS, DenyReason, Locale, Phase
from tapwire_node.controller.effects import (
    Effects,
    LogLine,
    Publish,
    ShowOnScreen,
    WarnOperator,
    WriteGrant,
    WriteQuestion,
    WriteRefusal,
)
from tapwire_node.controller.events import (
    CardSeen,
    DenialReceived,
    Event,
    GrantAlreadyJournalled,
    GrantJournalled,
    GrantReceived,
    Moment,
    QuestionJournalled,
)
from tapwire_node.controller.limits import REMEMBERED_QUESTIONS
from tapwire_node.controller.observations import StepResult
from tapwire_node.controller.pouring import never_started_fact, open_valve
from tapwire_node.controller.screen_texts import ScreenText, screen_text
from tapwire_node.controller.state import Grant, Question, State, is_in_service, out_of_service_reason, speaks_another_contract


def ask_core(state: State, event: CardSeen) -> StepResult:
    """A card on an idle tap: ask, or refuse at once when no answer can come."""
    refusal = no_answer_reason(state, event.at)
    if refusal is not None:
        return wait_for_removal(
            state, (screen_effect(state, ScreenText.NO_CONNECTION), LogLine(f"card {event.card_uid} refused: {refusal}"))
        )
    question = Question(event_id=event.at.new_id("question"), card_uid=event.card_uid, begun_ms=event.at.now_ms)
    return replace(state, phase=Phase.AUTHORIZING, question=question), (WriteQuestion(question.event_id, question.card_uid),)


def no_answer_reason(state: State, at: Moment) -> str | None:
    """Why no answer can come. With no core worker ever seen the question is asked all the same."""
    presence = state.presence
    if not presence.connected:
        return "no connection to the broker"
    if presence.ever_seen and not presence.cores and at.now_ms - presence.empty_since_ms >= state.limits.core_absence_ms:
        return "no core worker is there"
    if len(state.journal.unsettled) > MAX_UNSETTLED:
        return f"{len(state.journal.unsettled)} pours have no verdict yet, a question can name {MAX_UNSETTLED}"
    return None


def send_question(state: State, event: QuestionJournalled) -> StepResult:
    """The question's number is on disk: it may leave."""
    question = state.question
    if question is None or question.event_id != event.event_id or state.card is None:
        return state, ()
    asked = CardPresented(
        event_id=question.event_id,
        card_uid=question.card_uid,
        reader_id=state.identity.reader_id,
        read_at=state.card.read_at,
        boot_id=state.identity.boot_id,
        journal_id=state.journal.journal_id,
        seq=event.seq,
        unsettled=state.journal.unsettled,
    )
    now_ms = event.at.now_ms
    state = replace(
        state,
        question=replace(question, asked=asked, asked_ms=now_ms, sent_ms=now_ms),
        asked_ids=(*state.asked_ids, question.event_id)[-REMEMBERED_QUESTIONS:],
        card=replace(state.card, presented=True),
    )
    return state, (Publish(asked),)


def repeat_or_give_up(state: State, event: Event) -> StepResult:
    """Repeat the question each second, unchanged; give up when it has lost its sense or its time is over."""
    reason = give_up_reason(state, event.at)
    if reason is not None:
        return give_up(state, reason)
    question = state.question
    if question is None or question.asked is None or event.at.now_ms - question.sent_ms < state.limits.question_repeat_ms:
        return state, ()
    return replace(state, question=replace(question, sent_ms=event.at.now_ms)), (Publish(question.asked),)


def give_up_reason(state: State, at: Moment) -> ScreenText | None:
    """What has made the question pointless."""
    question = state.question
    if question is None or not is_in_service(state):
        return ScreenText.OUT_OF_SERVICE
    if state.card is None:
        return ScreenText.CARD_TAKEN
    if state.card.card_uid != question.card_uid:
        return ScreenText.OTHER_CARD
    if at.now_ms - (question.asked_ms if question.asked else question.begun_ms) > state.limits.request_timeout_ms:
        return ScreenText.NO_ANSWER
    return None


def give_up(state: State, text: ScreenText) -> StepResult:
    """Wait no longer; an answer that comes now is late."""
    return wait_for_removal(state, (screen_effect(state, text), LogLine(f"question given up: {text.value}")))


def wait_for_removal(state: State, effects: Effects) -> StepResult:
    """Neither open nor ask again until the card has gone."""
    return replace(state, phase=Phase.CARD_MUST_BE_REMOVED, question=None, card_must_be_removed=True), effects


def screen_effect(state: State, text: ScreenText) -> ShowOnScreen:
    """The text in the tap's language."""
    return ShowOnScreen(screen_text(text, state.locale))


# ── no ──────────────────────────────────────────────────────────────────────


def receive_denial(state: State, event: DenialReceived) -> StepResult:
    """The answer is no; for lack of money the staff hear of it in both languages."""
    denial, question = event.denial, state.question
    if question is None or denial.request_id != question.event_id or state.grant is not None:
        return state, ()
    effects: Effects = (ShowOnScreen(denial.display.message), LogLine(f"card {question.card_uid} denied: {denial.reason.value}"))
    if denial.reason is DenyReason.INSUFFICIENT_FUNDS:
        texts = DENIAL_TEXTS[denial.reason]
        effects += (WarnOperator(f"card {question.card_uid}: {texts[Locale.EN]} / {texts[Locale.RU]}"),)
    return wait_for_removal(state, effects)


# ── yes ─────────────────────────────────────────────────────────────────────


def receive_grant(state: State, event: GrantReceived) -> StepResult:
    """The answer is yes: to the journal with it, if it may open the valve at all."""
    message = event.grant
    if state.grant is not None and state.grant.message.pour_id == message.pour_id:
        return state, ()
    reason = "another grant is being written" if state.grant else grant_refusal_reason(state, message, event.at)
    if reason is not None:
        return refuse_grant(state, message, event.at, reason)
    grant = Grant(message, started_at=event.at.wall)
    return replace(state, grant=grant), (WriteGrant(message, grant.started_at, state.odometer.ml),)


def grant_refusal_reason(state: State, grant: PourAuthorized, at: Moment) -> str | None:
    """What forbids the valve to open for this grant; None when nothing does (SYSTEM.md, "The tap node")."""
    question = state.question
    if question is None or question.asked is None or question.event_id != grant.request_id:
        return "it answers another question than the last one"
    if at.now_ms - question.asked_ms > state.limits.request_timeout_ms:
        return "it is late"
    if state.card_on_reader != question.card_uid or grant.card_uid != question.card_uid:
        return "its card does not lie on the reader"
    if state.pour is not None or state.valve_open:
        return "another pour is not over"
    if state.faults:
        return "the hardware has a fault"
    if speaks_another_contract(state):
        return "a core worker speaks another contract version"
    return out_of_service_reason(state)


def open_if_still_true(state: State, event: GrantJournalled) -> StepResult:
    """The grant is on disk: check all of it again, right before the valve opens."""
    grant = state.grant
    if grant is None or grant.message.pour_id != event.pour_id:
        return state, ()
    reason = "the core took it back" if grant.stopped else grant_refusal_reason(state, grant.message, event.at)
    state = replace(state, grant=None)
    if reason is not None:
        return refuse_grant(state, grant.message, event.at, reason)
    return open_valve(replace(state, question=None), grant, event.at)


def refuse_journalled_grant(state: State, event: GrantJournalled) -> StepResult:
    """The grant is on disk, but the question was given up meanwhile."""
    grant = state.grant
    if grant is None or grant.message.pour_id != event.pour_id:
        return state, ()
    return refuse_grant(replace(state, grant=None), grant.message, event.at, "the question was given up")


def drop_repeated_grant(state: State, event: GrantAlreadyJournalled) -> StepResult:
    """The journal had this pour already: a repetition, which changes nothing."""
    if state.grant is None or state.grant.message.pour_id != event.pour_id:
        return state, ()
    return replace(state, grant=None), (LogLine(f"grant {event.pour_id} repeats one that the journal has"),)


def refuse_late_grant(state: State, event: GrantReceived) -> StepResult:
    """A grant while nothing is asked. That of the running pour is a repetition."""
    running = (state.pour and state.pour.pour_id, state.grant and state.grant.message.pour_id)
    if event.grant.pour_id in running:
        return state, ()
    return refuse_grant(state, event.grant, event.at, "nothing is asked")


def refuse_grant(state: State, grant: PourAuthorized, at: Moment, reason: str) -> StepResult:
    """Journal a grant of this boot's question as dead and report it at once as never started; ignore any other."""
    if grant.request_id not in state.asked_ids:
        return state, (LogLine(f"grant {grant.pour_id} ignored: not this boot's question"),)
    effects: Effects = (
        WriteRefusal(never_started_fact(state, grant.pour_id, grant.card_uid, at)),
        LogLine(f"grant {grant.pour_id} refused: {reason}"),
    )
    if state.question is not None and state.question.event_id == grant.request_id:
        return wait_for_removal(state, (screen_effect(state, ScreenText.LAY_CARD_AGAIN), *effects))
    return state, effects
