"""A pour: opening, watching, closing, the tail, and the report.

The valve closes first and the reason is found afterwards to be one of `why_close`; nothing here can keep it open. What flows for a
moment after closing is the tail of the same pour. The report is then written once and never another.
"""

from dataclasses import replace
from uuid import UUID

from tapwire_contracts.messages import PourCompleted, PourProgress
from tapwire_contracts.reasons import EndReason, Phase
from tapwire_node.controller.closed_valve_flow import begin_closed_flow, end_leak
from tapwire_node.controller.closing_lead import Pace, Shut, closing_of, is_cap_near, lead_ml, learn, told
from tapwire_node.controller.effects import CloseValve, Note, OpenValve, Publish, Show, WriteCheckpoint, WriteReport
from tapwire_node.controller.events import Event, Moment, Ticked, VerdictReceived
from tapwire_node.controller.flow_facts import Closing, Fact
from tapwire_node.controller.observations import Step, is_reader_clear
from tapwire_node.controller.screen_texts import ScreenText, screen_text
from tapwire_node.controller.state import Awaited, Grant, Pour, State, is_active


def open_valve(state: State, grant: Grant, at: Moment) -> Step:
    """Let it flow. The checkpoint that goes with it says so to a recovery after a power cut."""
    state, leak_effects = end_leak(state, at)
    now_ms = at.now_ms
    pour = Pour(
        grant=grant.message,
        started_at=grant.started_at,
        started_ms=now_ms,
        odometer_from_ml=state.odometer.ml,
        flowed_ms=now_ms,
        progress_ms=now_ms,
        pace=Pace.begin(now_ms, state.odometer.ml),
    )
    state, write = checkpoint(replace(state, phase=Phase.POURING, valve_open=True, pour=pour), at)
    return state, (OpenValve(pour.pour_id), *leak_effects, write, Show(grant.message.display.message))


def checkpoint(state: State, at: Moment) -> tuple[State, WriteCheckpoint]:
    """Write the odometer, and with it the running fact; one at a time is on its way."""
    journal = replace(
        state.journal,
        checkpoint_ms=at.now_ms,
        checkpoint_ml=state.odometer.ml,
        checkpoint_pulses=state.odometer.pulses,
    )
    return replace(state, journal=journal), standing(state, at)


def standing(state: State, at: Moment) -> WriteCheckpoint:
    """Where the odometer stands, and the fact that runs: a pour, a service run or a leak."""
    pour, run, leak = state.pour, state.service, state.closed_flow.leak
    if pour is not None and state.is_metering_pour:
        return WriteCheckpoint(state.odometer, pour.pour_id, pour.odometer_from_ml, at.now_ms - pour.started_ms)
    if run is not None and run.opened_ms is not None:
        return WriteCheckpoint(state.odometer, run.run_id, run.odometer_from_ml, at.now_ms - run.opened_ms)
    if leak is not None:
        return WriteCheckpoint(state.odometer, leak.event_id, leak.odometer_from_ml, leak.flowed_ms - leak.started_ms)
    return WriteCheckpoint(state.odometer, None, state.odometer.ml, 0)


def watch(state: State, event: Event) -> Step:
    """Close as soon as anything says so; else tell how much has flowed."""
    pour = state.pour
    if pour is None:
        return state, ()
    reason = why_close(state, pour, event.at)
    if reason is not None:
        return close(state, pour, reason, event.at)
    now_ms = event.at.now_ms
    pour = replace(pour, pace=pour.pace.go_on(now_ms, state.odometer.ml))
    state = replace(state, pour=pour)
    if now_ms - pour.progress_ms < state.limits.progress_ms or pour.flowed_ms <= pour.progress_ms:
        return state, ()
    progress = PourProgress(
        pour_id=pour.pour_id, volume_ml=state.odometer.ml - pour.odometer_from_ml, elapsed_ms=now_ms - pour.started_ms
    )
    return replace(state, pour=replace(pour, progress_ms=now_ms)), (Publish(progress),)


def why_close(state: State, pour: Pour, at: Moment) -> EndReason | None:
    """What ends the pour now; None when it may go on. Broker and core may be away as long as they like."""
    if state.faults or state.tripped or not state.journal.writable or state.journal.stalled:
        return EndReason.FAULT
    if not is_active(state):
        return EndReason.DISABLED
    if pour.stopped or state.stopping:
        return EndReason.STOPPED
    if state.card is None or state.card.card_uid != pour.grant.card_uid:
        return EndReason.CARD_REMOVED
    lead = lead_ml(state.closings, pour.pace, state.limits, at.now_ms, state.odometer.ml)
    if is_cap_near(state.odometer.ml - pour.odometer_from_ml, pour.grant.max_volume_ml, lead):
        return EndReason.LIMIT
    if at.now_ms - pour.started_ms >= pour.grant.max_duration_ms:
        return EndReason.MAX_DURATION
    if at.now_ms - pour.flowed_ms >= pour.grant.idle_timeout_ms:
        return EndReason.NO_FLOW
    return None


def close(state: State, pour: Pour, reason: EndReason, at: Moment) -> Step:
    """Close the valve; what still comes for a moment is the tail."""
    ended = replace(pour, end_reason=reason, shut=Shut(at.now_ms, state.odometer.ml, pour.pace))
    state = replace(state, phase=Phase.SETTLING, valve_open=False, pour=ended, tripped=False)
    return state, (CloseValve(pour.pour_id, reason), Show(screen_text(ScreenText.POUR_ENDED, state.locale)))


def settle(state: State, event: Ticked) -> Step:
    """Hand the report over when the tail has ended; be done when its verdict has been waited for long enough."""
    pour, now_ms = state.pour, event.at.now_ms
    if pour is None or pour.shut is None:
        return state, ()
    if pour.handed_ms is None:
        is_over = is_tail_over(state, pour.shut.at_ms, pour.flowed_ms, now_ms)
        return hand_over(state, pour, pour.shut, event.at) if is_over else (state, ())
    return finish(state) if now_ms - pour.handed_ms >= state.limits.settle_wait_ms else (state, ())


def is_tail_over(state: State, closed_ms: int, flowed_ms: int, now_ms: int) -> bool:
    """Whether what flows from now on is no longer the pour's or the run's; `flowed_ms` is the last pulse."""
    quiet_since_ms = max(closed_ms, flowed_ms)
    return now_ms - closed_ms >= state.limits.tail_ms or now_ms - quiet_since_ms >= state.limits.tail_quiet_ms


def hand_over(state: State, pour: Pour, shut: Shut, at: Moment) -> Step:
    """Write the report, once. From here on, flow belongs to nobody."""
    volume_ml = state.odometer.ml - pour.odometer_from_ml
    over_ml = volume_ml - pour.grant.max_volume_ml if pour.end_reason is EndReason.LIMIT else None
    closing = closing_of(shut, state.odometer.ml, over_ml, state.limits)
    state = replace(state, pour=replace(pour, handed_ms=at.now_ms), closings=learn(state.closings, closing))
    state = begin_closed_flow(state, at)
    report = WriteReport(report_of(state, pour, shut, closing), state.odometer)
    return state, (report, Note(f"pour {pour.pour_id}: {told(closing)}"))


def report_of(state: State, pour: Pour, shut: Shut, closing: Closing) -> Fact:
    """What flowed; its volume is the length of its stretch of the odometer."""
    assert pour.end_reason is not None
    message = PourCompleted(
        pour_id=pour.pour_id,
        card_uid=pour.grant.card_uid,
        volume_ml=state.odometer.ml - pour.odometer_from_ml,
        duration_ms=shut.at_ms - pour.started_ms,
        end_reason=pour.end_reason,
        interrupted=False,
        started_at=pour.started_at,
        age_ms=None,
        odometer_from_ml=pour.odometer_from_ml,
        odometer_to_ml=state.odometer.ml,
        journal_id=state.journal.journal_id,
        boot_id=state.identity.boot_id,
    )
    return Fact(message, ended_ms=shut.at_ms, closing=closing)


def never_started(state: State, pour_id: UUID, card_uid: str, at: Moment) -> Fact:
    """The report of a grant that opened no valve, and never will."""
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


def settle_by_verdict(state: State, event: VerdictReceived) -> Step:
    """The verdict on the report that was waited for."""
    pour = state.pour
    if pour is None or pour.pour_id != event.verdict.pour_id or pour.handed_ms is None:
        return state, ()
    return finish(state)


def finish(state: State) -> Step:
    """The pour is over; the tap is free when the card has gone."""
    return replace(state, phase=Phase.CARD_MUST_BE_REMOVED, pour=None, card_must_go=True), ()


def free_reader(state: State, event: Ticked) -> Step:
    """Let the next card ask, once the reader has been empty for the debounce time and no verdict is waited for."""
    awaited: Awaited | None = state.awaited
    if awaited is not None and event.at.now_ms >= awaited.until_ms:
        awaited = None
    is_free = is_reader_clear(state, event.at) and awaited is None
    return replace(state, awaited=awaited, card_must_go=state.card_must_go and not is_free), ()
