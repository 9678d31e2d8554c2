"""A pour: opening, watching, closing, the tail, and the report.

`pour_end_reason` lists everything that closes the valve; it is checked at every tick. What flows for a moment after closing is the
tail and belongs to the same pour. Then the report is written, once.
"""

from dataclasses import replace
from uuid import UUID

from tapwire_contracts.messages import PourCompleted, PourProgress
from tapwire_contracts.reasons import EndReason, Phase
from tapwire_node.controller.closed_valve_flow import begin_closed_valve_flow, end_leak
from tapwire_node.controller.closing_lead import (
    ClosingPoint,
    FlowRate,
    closing_lead_ml,
    closing_summary,
    is_cap_reached,
    learn_closing,
    measure_closing,
)
from tapwire_node.controller.effects import CloseValve, LogLine, OpenValve, Publish, ShowOnScreen, WriteCheckpoint, WriteReport
from tapwire_node.controller.events import Event, Moment, Ticked, VerdictReceived
from tapwire_node.controller.flow_facts import Closing, Fact
from tapwire_node.controller.observations import is_reader_clear
from tapwire_node.controller.screen_texts import ScreenText, grant_text, screen_text
from tapwire_node.controller.state import AwaitedVerdict, Grant, Pour, State, StepResult, is_active


def open_valve(state: State, grant: Grant, at: Moment) -> StepResult:
    """Open the valve. The checkpoint tells a recovery after a power cut that it was open."""
    state, leak_effects = end_leak(state, at)
    now_ms = at.now_ms
    pour = Pour(
        grant=grant.message,
        started_at=grant.started_at,
        started_ms=now_ms,
        odometer_from_ml=state.odometer.ml,
        flowed_ms=now_ms,
        progress_ms=now_ms,
        flow_rate=FlowRate.begin(now_ms, state.odometer.ml),
    )
    state, write = take_checkpoint(replace(state, phase=Phase.POURING, valve_open=True, pour=pour), at)
    return state, (OpenValve(pour.pour_id), *leak_effects, write, ShowOnScreen(grant_text(grant.message.display, state.locale)))


def take_checkpoint(state: State, at: Moment) -> tuple[State, WriteCheckpoint]:
    """Record that a checkpoint is handed over, and return it."""
    journal = replace(
        state.journal,
        checkpoint_ms=at.now_ms,
        checkpoint_ml=state.odometer.ml,
        checkpoint_pulses=state.odometer.pulses,
    )
    return replace(state, journal=journal), current_checkpoint(state, at)


def current_checkpoint(state: State, at: Moment) -> WriteCheckpoint:
    """The odometer now, with the running fact: a pour, a service run or a leak."""
    pour, run, leak = state.pour, state.service_run, state.closed_valve_flow.leak
    if pour is not None and state.is_metering_pour:
        return WriteCheckpoint(state.odometer, pour.pour_id, pour.odometer_from_ml, at.now_ms - pour.started_ms)
    if run is not None and run.opened_ms is not None:
        return WriteCheckpoint(state.odometer, run.run_id, run.odometer_from_ml, at.now_ms - run.opened_ms)
    if leak is not None:
        return WriteCheckpoint(state.odometer, leak.event_id, leak.odometer_from_ml, leak.flowed_ms - leak.started_ms)
    return WriteCheckpoint(state.odometer, None, state.odometer.ml, 0)


def watch_pour(state: State, event: Event) -> StepResult:
    """Close the valve if there is a reason to; otherwise publish the progress."""
    pour = state.pour
    if pour is None:
        return state, ()
    reason = pour_end_reason(state, pour, event.at)
    if reason is not None:
        return close_pour(state, pour, reason, event.at)
    now_ms = event.at.now_ms
    pour = replace(pour, flow_rate=pour.flow_rate.sample(now_ms, state.odometer.ml))
    state = replace(state, pour=pour)
    if now_ms - pour.progress_ms < state.limits.progress_ms or pour.flowed_ms <= pour.progress_ms:
        return state, ()
    progress = PourProgress(
        pour_id=pour.pour_id, volume_ml=state.odometer.ml - pour.odometer_from_ml, elapsed_ms=now_ms - pour.started_ms
    )
    return replace(state, pour=replace(pour, progress_ms=now_ms)), (Publish(progress),)


def pour_end_reason(state: State, pour: Pour, at: Moment) -> EndReason | None:
    """Why the pour must end now; None when it may go on. A lost broker or core is no reason: the grant is all it needs."""
    if state.faults or state.watchdog_tripped or not state.journal.writable or state.journal.stalled:
        return EndReason.FAULT
    if not is_active(state):
        return EndReason.DISABLED
    if pour.stopped or state.stopping:
        return EndReason.STOPPED
    if state.card is None or state.card.card_uid != pour.grant.card_uid:
        return EndReason.CARD_REMOVED
    lead = closing_lead_ml(state.closings, pour.flow_rate, state.limits, at.now_ms, state.odometer.ml)
    if is_cap_reached(state.odometer.ml - pour.odometer_from_ml, pour.grant.max_volume_ml, lead):
        return EndReason.LIMIT
    if at.now_ms - pour.started_ms >= pour.grant.max_duration_ms:
        return EndReason.MAX_DURATION
    if at.now_ms - pour.flowed_ms >= pour.grant.idle_timeout_ms:
        return EndReason.NO_FLOW
    return None


def close_pour(state: State, pour: Pour, reason: EndReason, at: Moment) -> StepResult:
    """Close the valve; flow from now on is the tail."""
    ended = replace(pour, end_reason=reason, closing_point=ClosingPoint(at.now_ms, state.odometer.ml, pour.flow_rate))
    state = replace(state, phase=Phase.SETTLING, valve_open=False, pour=ended, watchdog_tripped=False)
    return state, (CloseValve(pour.pour_id, reason), ShowOnScreen(screen_text(ScreenText.POUR_ENDED, state.locale)))


def advance_settling(state: State, event: Ticked) -> StepResult:
    """Hand the report over when the tail has ended; free the tap after `settle_wait_ms` without a verdict."""
    pour, now_ms = state.pour, event.at.now_ms
    if pour is None or pour.closing_point is None:
        return state, ()
    if pour.handed_ms is None:
        is_over = is_tail_over(state, pour.closing_point.at_ms, pour.flowed_ms, now_ms)
        return hand_over_report(state, pour, pour.closing_point, event.at) if is_over else (state, ())
    return finish_pour(state) if now_ms - pour.handed_ms >= state.limits.settle_wait_ms else (state, ())


def is_tail_over(state: State, closed_ms: int, flowed_ms: int, now_ms: int) -> bool:
    """True once flow no longer belongs to the pour or run; `flowed_ms` is the last pulse."""
    quiet_since_ms = max(closed_ms, flowed_ms)
    return now_ms - closed_ms >= state.limits.tail_ms or now_ms - quiet_since_ms >= state.limits.tail_quiet_ms


def hand_over_report(state: State, pour: Pour, closing_point: ClosingPoint, at: Moment) -> StepResult:
    """Write the report. Flow from now on is unattributed."""
    volume_ml = state.odometer.ml - pour.odometer_from_ml
    over_ml = volume_ml - pour.grant.max_volume_ml if pour.end_reason is EndReason.LIMIT else None
    closing = measure_closing(closing_point, state.odometer.ml, over_ml, state.limits)
    state = replace(state, pour=replace(pour, handed_ms=at.now_ms), closings=learn_closing(state.closings, closing))
    state = begin_closed_valve_flow(state, at)
    report = WriteReport(pour_fact(state, pour, closing_point, closing), state.odometer)
    return state, (report, LogLine(f"pour {pour.pour_id}: {closing_summary(closing)}"))


def pour_fact(state: State, pour: Pour, closing_point: ClosingPoint, closing: Closing) -> Fact:
    """The pour's report; its volume is the length of its stretch of the odometer."""
    assert pour.end_reason is not None
    message = PourCompleted(
        pour_id=pour.pour_id,
        card_uid=pour.grant.card_uid,
        volume_ml=state.odometer.ml - pour.odometer_from_ml,
        duration_ms=closing_point.at_ms - pour.started_ms,
        end_reason=pour.end_reason,
        interrupted=False,
        started_at=pour.started_at,
        age_ms=None,
        odometer_from_ml=pour.odometer_from_ml,
        odometer_to_ml=state.odometer.ml,
        journal_id=state.journal.journal_id,
        boot_id=state.identity.boot_id,
    )
    return Fact(message, ended_ms=closing_point.at_ms, closing=closing)


def never_started_fact(state: State, pour_id: UUID, card_uid: str, at: Moment) -> Fact:
    """The report of a grant for which the valve never opened and never will."""
    message = PourCompleted(
        pour_id=pour_id,
        card_uid=card_uid,
        volume_ml=0,
        duration_ms=0,
        end_reason=EndReason.NEVER_STARTED,
        interrupted=False,
        started_at=None,
        age_ms=None,
        odometer_from_ml=state.odometer.ml,
        odometer_to_ml=state.odometer.ml,
        journal_id=state.journal.journal_id,
        boot_id=state.identity.boot_id,
    )
    return Fact(message, ended_ms=at.now_ms)


def finish_by_verdict(state: State, event: VerdictReceived) -> StepResult:
    """End the pour when the verdict on its report has come."""
    pour = state.pour
    if pour is None or pour.pour_id != event.verdict.pour_id or pour.handed_ms is None:
        return state, ()
    return finish_pour(state)


def finish_pour(state: State) -> StepResult:
    """End the pour; the next card may ask once this one is removed."""
    return replace(state, phase=Phase.CARD_MUST_BE_REMOVED, pour=None, card_must_be_removed=True), ()


def free_reader(state: State, event: Ticked) -> StepResult:
    """Let the next card ask, once the reader has been empty for the debounce time and no verdict is awaited."""
    awaited: AwaitedVerdict | None = state.awaited
    if awaited is not None and event.at.now_ms >= awaited.until_ms:
        awaited = None
    is_free = is_reader_clear(state, event.at) and awaited is None
    return replace(state, awaited=awaited, card_must_be_removed=state.card_must_be_removed and not is_free), ()
