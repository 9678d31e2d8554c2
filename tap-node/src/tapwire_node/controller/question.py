"""The question that a card asks the core, and its denial (SYSTEM.md, "Authorisation"); `grant` has the other answer.

A card laid on an idle tap is a question. Its `seq` is written to the journal first; then the question is published, and repeated
unchanged until it is answered or `request_timeout_ms` have passed.
"""

from dataclasses import replace

from tapwire_contracts.denials import denial_text
from tapwire_contracts.messages import MAX_UNSETTLED, CardPresented
from tapwire_contracts.reasons import DenyReason, Locale, Phase
from tapwire_node.controller.effects import Effects, LogLine, Publish, ShowOnScreen, WarnOperator, WriteQuestion
from tapwire_node.controller.events import CardSeen, DenialReceived, Event, Moment, QuestionJournalled
from tapwire_node.controller.limits import REMEMBERED_QUESTIONS
from tapwire_node.controller.screen_texts import ScreenText, screen_text
from tapwire_node.controller.state import Question, State, StepResult, is_in_service


def ask_core(state: State, event: CardSeen) -> StepResult:
    """Begin a question, or refuse the card at once when no answer can come."""
    refusal = no_answer_reason(state, event.at)
    if refusal is not None:
        return wait_for_removal(
            state, (screen_effect(state, ScreenText.NO_CONNECTION), LogLine(f"card {event.card_uid} refused: {refusal}"))
        )
    question = Question(event_id=event.at.new_id("question"), card_uid=event.card_uid, begun_ms=event.at.now_ms)
    return replace(state, phase=Phase.AUTHORIZING, question=question), (WriteQuestion(question.event_id, question.card_uid),)


def no_answer_reason(state: State, at: Moment) -> str | None:
    """Why no answer can come; None when one can. If no core worker was ever seen, the question is asked all the same."""
    peers = state.peers
    if not peers.connected:
        return "no connection to the broker"
    if peers.ever_seen and not peers.cores and at.now_ms >= peers.absent_from_ms:
        return "no core worker is online"
    if len(state.journal.unsettled) > MAX_UNSETTLED:
        return f"{len(state.journal.unsettled)} pours have no verdict yet, a question can name {MAX_UNSETTLED}"
    return None


def send_question(state: State, event: QuestionJournalled) -> StepResult:
    """Publish the question, now that its `seq` is on disk."""
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
    """Repeat the question unchanged each `question_repeat_ms`; give up when it is pointless or timed out."""
    reason = give_up_reason(state, event.at)
    if reason is not None:
        return give_up(state, reason)
    question = state.question
    if question is None or question.asked is None or event.at.now_ms - question.sent_ms < state.limits.question_repeat_ms:
        return state, ()
    return replace(state, question=replace(question, sent_ms=event.at.now_ms)), (Publish(question.asked),)


def give_up_reason(state: State, at: Moment) -> ScreenText | None:
    """Why the question is abandoned, as the guest's text; None while it is worth waiting for."""
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
    """Abandon the question; an answer that comes later is refused as late."""
    return wait_for_removal(state, (screen_effect(state, text), LogLine(f"question abandoned: {text.value}")))


def wait_for_removal(state: State, effects: Effects) -> StepResult:
    """End the question; nothing is asked until the card is removed."""
    return replace(state, phase=Phase.CARD_MUST_BE_REMOVED, question=None, card_must_be_removed=True), effects


def screen_effect(state: State, text: ScreenText) -> ShowOnScreen:
    """Show a text in the tap's language."""
    return ShowOnScreen(screen_text(text, state.locale))


def receive_denial(state: State, event: DenialReceived) -> StepResult:
    """Show the denial to the guest; for lack of funds also warn the staff, in both languages."""
    denial, question = event.denial, state.question
    if question is None or denial.request_id != question.event_id or state.grant is not None:
        return state, ()
    effects: Effects = (ShowOnScreen(denial.display.message), LogLine(f"card {question.card_uid} denied: {denial.reason}"))
    if denial.reason == DenyReason.INSUFFICIENT_FUNDS:
        english, russian = (denial_text(DenyReason.INSUFFICIENT_FUNDS, locale) for locale in (Locale.EN, Locale.RU))
        effects += (WarnOperator(f"card {question.card_uid}: {english} / {russian}"),)
    return wait_for_removal(state, effects)
