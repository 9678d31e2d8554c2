"""Service runs: the one way to open the valve without a grant (SYSTEM.md, "The tap node").

A person at the node starts one while the tap's config says `cleaning`, to clean the line, calibrate the meter or test. It is a fact
in the journal before the valve opens, ends at its cap in ml and time, and is reported as `unattributed_flow` with its `cause`. The
tap stays out of service until that report is written, so that no question is asked meanwhile.

The program that started the run must renew it: the valve closes after `service_hold_ms` without a `ServiceRunHeld`, so a program
that crashed, hangs or was stopped can't leave it open. `run_end_reason` lists every reason to end a run; each step checks it.
"""

from dataclasses import replace
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import ConfigStatus, EndReason, FlowCause, Phase
from tapwire_node.controller.closed_valve_flow import OdometerStretch, begin_closed_valve_flow, end_leak, unattributed_fact
from tapwire_node.controller.closing_lead import (
    ClosingPoint,
    FlowRate,
    closing_lead_ml,
    closing_summary,
    is_cap_reached,
    learn_closing,
    measure_closing,
)
from tapwire_node.controller.effects import (
    CloseValve,
    DropServiceRun,
    Effects,
    LogLine,
    OpenValveForService,
    ShowOnScreen,
    TellRunEnded,
    TellRunRefused,
    TellRunStarted,
    WriteFlow,
    WriteServiceRun,
)
from tapwire_node.controller.events import (
    Moment,
    Part,
    ServiceRunHeld,
    ServiceRunJournalled,
    ServiceRunRequested,
    ServiceRunStopped,
)
from tapwire_node.controller.pouring import is_tail_over, take_checkpoint
from tapwire_node.controller.screen_texts import ScreenText, screen_text
from tapwire_node.controller.state import ServiceRun, State, StepResult, speaks_another_contract

SERVICE_CAUSES: Final = frozenset({FlowCause.CLEANING, FlowCause.CALIBRATION, FlowCause.TEST})
PARTS_NOT_NEEDED: Final = frozenset({Part.READER})
"""Parts that may be broken: a run needs no card."""


# ── before the valve opens ──────────────────────────────────────────────────────────────────


def request_run(state: State, event: ServiceRunRequested) -> StepResult:
    """Write a requested run to the journal, or refuse it."""
    reason = new_run_refusal(state, event)
    if reason is not None:
        return state, (TellRunRefused(reason), LogLine(f"service run refused: {reason}"))
    run = ServiceRun(
        run_id=event.at.new_id("service run"),
        cause=event.cause,
        max_volume_ml=event.max_volume_ml,
        max_duration_ms=event.max_duration_ms,
        held_ms=event.at.now_ms,
    )
    begun = unattributed_fact(
        state, run.run_id, run.cause, OdometerStretch(state.odometer.ml, duration_ms=0, ended_ms=event.at.now_ms)
    )
    return replace(state, service_run=run), (WriteServiceRun(begun, state.odometer),)


def new_run_refusal(state: State, event: ServiceRunRequested) -> str | None:
    """Why the requested run is refused; None when it may begin."""
    limits = state.limits
    if event.cause not in SERVICE_CAUSES:
        return f"{event.cause.value} is not a cause of service runs"
    if not 1 <= event.max_volume_ml <= limits.service_max_ml:
        return f"ask for 1 to {limits.service_max_ml} ml (limits.service_max_ml)"
    if not 1 <= event.max_duration_ms <= limits.service_max_ms:
        return f"ask for 1 to {limits.service_max_ms} ms (limits.service_max_ms)"
    if state.service_run is not None:
        return "another service run is in progress"
    return run_refusal(state)


def run_refusal(state: State) -> str | None:
    """Why the valve must not open for a run now; None when it may."""
    if state.config is None:
        return "the core has sent no config yet: add the tap in the core, and check the node's broker login in tap.toml"
    if state.config_unreadable:
        return "the tap's last config can't be read"
    if state.config.status != ConfigStatus.CLEANING:
        return f"the tap's config says {state.config.status}: set the tap to cleaning first"
    if state.faults - PARTS_NOT_NEEDED:
        return f"the hardware has a fault: {', '.join(sorted(state.faults - PARTS_NOT_NEEDED))}"
    if not state.journal.writable or state.journal.stalled:
        return "the journal can't be written: see the node's log"
    if speaks_another_contract(state):
        return "a core worker speaks another contract version"
    if state.stopping:
        return "the node is shutting down"
    if state.phase not in (Phase.OUT_OF_SERVICE, Phase.FAULT) or state.pour or state.grant or state.valve_open:
        return f"the tap is busy: {state.phase.value}"
    return None


def observe_run_held(state: State, event: ServiceRunHeld) -> StepResult:
    """Record that the program is still there."""
    return (replace(state, service_run=replace(state.service_run, held_ms=event.at.now_ms)) if state.service_run else state), ()


def observe_run_stopped(state: State, _event: ServiceRunStopped) -> StepResult:
    """Record that the program stopped the run or disconnected."""
    return (replace(state, service_run=replace(state.service_run, stopped=True)) if state.service_run else state), ()


def open_for_run(state: State, event: ServiceRunJournalled) -> StepResult:
    """Check every condition again, now that the run is on disk, and open the valve."""
    run = state.service_run
    if run is None or run.run_id != event.run_id or run.opened_ms is not None:
        return state, ()
    reason = drop_reason(state, run, event.at)
    if reason is not None:
        return drop_run(state, run, reason)
    state, leak_effects = end_leak(state, event.at)
    now_ms, here_ml = event.at.now_ms, state.odometer.ml
    run = replace(
        run,
        opened_ms=now_ms,
        odometer_from_ml=here_ml,
        pulses_from=state.odometer.pulses,
        flowed_ms=now_ms,
        flow_rate=FlowRate.begin(now_ms, here_ml),
    )
    open_flows = state.journal.open_flows | {run.run_id}
    state = replace(state, service_run=run, valve_open=True, journal=replace(state.journal, open_flows=open_flows))
    state, write = take_checkpoint(state, event.at)
    out_of_service = ShowOnScreen(screen_text(ScreenText.OUT_OF_SERVICE, state.locale))
    return state, (OpenValveForService(run.run_id), *leak_effects, write, TellRunStarted(run.run_id), out_of_service)


def drop_reason(state: State, run: ServiceRun, at: Moment) -> str | None:
    """Why a run that has not begun is dropped; None when it may begin."""
    if run.stopped:
        return "it was stopped before it began"
    if is_hold_expired(state, run, at):
        return "the program that started it no longer answers"
    return run_refusal(state)


def is_hold_expired(state: State, run: ServiceRun, at: Moment) -> bool:
    """True when no hold has come for `service_hold_ms`."""
    return at.now_ms - run.held_ms >= state.limits.service_hold_ms


def drop_run(state: State, run: ServiceRun, reason: str) -> StepResult:
    """Delete a run for which the valve never opened."""
    return replace(state, service_run=None), (
        DropServiceRun(run.run_id),
        TellRunRefused(reason),
        LogLine(f"service run refused: {reason}"),
    )


# ── while it runs ───────────────────────────────────────────────────────────


def watch_run(state: State, at: Moment) -> StepResult:
    """Close the valve if there is a reason to, and report the run when its tail has ended."""
    run = state.service_run
    if run is None:
        return state, ()
    if run.opened_ms is None:
        reason = drop_reason(state, run, at)
        return drop_run(state, run, reason) if reason is not None else (state, ())
    if run.closing_point is None:
        end = run_end_reason(state, run, run.opened_ms, at)
        if end is not None:
            return close_run(state, run, end, at)
        return replace(state, service_run=replace(run, flow_rate=run.flow_rate.sample(at.now_ms, state.odometer.ml))), ()
    if is_tail_over(state, run.closing_point.at_ms, run.flowed_ms, at.now_ms):
        return hand_over_run_report(state, run, run.opened_ms, run.closing_point, at)
    return state, ()


def run_end_reason(state: State, run: ServiceRun, opened_ms: int, at: Moment) -> EndReason | None:
    """Why the run must end now; None when it may go on."""
    if state.faults - PARTS_NOT_NEEDED or state.watchdog_tripped or not state.journal.writable or state.journal.stalled:
        return EndReason.FAULT
    if state.config is None or state.config_unreadable or state.config.status != ConfigStatus.CLEANING:
        return EndReason.DISABLED
    if run.stopped or state.stopping or is_hold_expired(state, run, at):
        return EndReason.STOPPED
    lead = closing_lead_ml(state.closings, run.flow_rate, state.limits, at.now_ms, state.odometer.ml)
    if is_cap_reached(state.odometer.ml - run.odometer_from_ml, run.max_volume_ml, lead):
        return EndReason.LIMIT
    if at.now_ms - opened_ms >= run.max_duration_ms:
        return EndReason.MAX_DURATION
    if at.now_ms - run.flowed_ms >= state.limits.service_idle_ms:
        return EndReason.NO_FLOW
    return None


def close_run(state: State, run: ServiceRun, reason: EndReason, at: Moment) -> StepResult:
    """Close the valve; flow from now on is the tail."""
    closing_point = ClosingPoint(at.now_ms, state.odometer.ml, run.flow_rate)
    state = replace(
        state, service_run=replace(run, end_reason=reason, closing_point=closing_point), valve_open=False, watchdog_tripped=False
    )
    return state, (CloseValve(None, reason),)


def hand_over_run_report(state: State, run: ServiceRun, opened_ms: int, closing_point: ClosingPoint, at: Moment) -> StepResult:
    """Write the report. Flow from now on is unattributed."""
    assert run.end_reason is not None
    stretch = OdometerStretch(run.odometer_from_ml, closing_point.at_ms - opened_ms, ended_ms=closing_point.at_ms)
    report = unattributed_fact(state, run.run_id, run.cause, stretch)
    over_ml = report.message.volume_ml - run.max_volume_ml if run.end_reason is EndReason.LIMIT else None
    closing = measure_closing(closing_point, state.odometer.ml, over_ml, state.limits)
    fact = replace(report, closing=closing)
    effects: Effects = (
        WriteFlow(fact, ended=True, odometer=state.odometer),
        TellRunEnded(fact, run.end_reason, pulses=state.odometer.pulses - run.pulses_from),
        LogLine(f"service run {run.run_id}: {closing_summary(closing)}"),
    )
    state = replace(state, service_run=None, closings=learn_closing(state.closings, closing))
    return begin_closed_valve_flow(state, at), effects


def fail_waiting_run(state: State, text: str) -> StepResult:
    """Drop the waiting run, as the journal could not write it."""
    run = state.service_run
    if run is None or run.opened_ms is not None:
        return state, ()
    return replace(state, service_run=None), (TellRunRefused(f"journal: {text}"),)


def is_current_run(state: State, fact_id: UUID) -> bool:
    """True when the fact is the run in progress, which can have no verdict yet."""
    return state.service_run is not None and state.service_run.run_id == fact_id
