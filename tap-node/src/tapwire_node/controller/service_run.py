"""Service runs: the one way to open the valve without a grant (SYSTEM.md, "The tap node").

A person at the node starts one while the tap's config says `cleaning`, to clean the line, calibrate the meter or test. It is a fact
in the journal before the valve opens, ends at its cap in ml and time, and is reported as `unattributed_flow` with its `cause`. The
tap stays out of service until that report is written, so that no question is asked meanwhile.

Whoever started it must go on saying so: the valve closes when `service_hold_ms` have passed without a `ServiceRunHeld`. A program
that ended, hangs or was stopped lets go by that alone. What else ends a run is `why_close_run`, asked again in every step.
"""

from dataclasses import replace
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import ConfigStatus, EndReason, FlowCause, Phase
from tapwire_node.controller.closed_valve_flow import Stretch, begin_closed_flow, end_leak, unattributed
from tapwire_node.controller.closing_lead import Pace, Shut, closing_of, is_cap_near, lead_ml, learn, told
from tapwire_node.controller.effects import (
    CloseValve,
    DropServiceRun,
    Effects,
    Note,
    OpenValveForService,
    RunBegun,
    RunEnded,
    RunRefused,
    Show,
    WriteFlow,
    WriteServiceRun,
)
from tapwire_node.controller.events import Moment, Part, ServiceRunAsked, ServiceRunHeld, ServiceRunJournalled, ServiceRunStopped
from tapwire_node.controller.observations import Step
from tapwire_node.controller.pouring import checkpoint, is_tail_over
from tapwire_node.controller.screen_texts import ScreenText, screen_text
from tapwire_node.controller.state import ServiceRun, State, speaks_another_contract

SERVICE_CAUSES: Final = frozenset({FlowCause.CLEANING, FlowCause.CALIBRATION, FlowCause.TEST})
NOT_NEEDED: Final = frozenset({Part.READER})
"""A run needs no card: what may be broken."""


# ── may it ──────────────────────────────────────────────────────────────────


def take_run(state: State, event: ServiceRunAsked) -> Step:
    """A person wants beer to flow: to the journal with it, if it may at all."""
    reason = why_no_new_run(state, event)
    if reason is not None:
        return state, (RunRefused(reason), Note(f"service run refused: {reason}"))
    run = ServiceRun(
        run_id=event.at.new_id("service run"),
        cause=event.cause,
        max_volume_ml=event.max_volume_ml,
        max_duration_ms=event.max_duration_ms,
        held_ms=event.at.now_ms,
    )
    begun = unattributed(state, run.run_id, run.cause, Stretch(state.odometer.ml, duration_ms=0, ended_ms=event.at.now_ms))
    return replace(state, service=run), (WriteServiceRun(begun, state.odometer),)


def why_no_new_run(state: State, event: ServiceRunAsked) -> str | None:
    """What forbids to begin a run; None when nothing does."""
    limits = state.limits
    if event.cause not in SERVICE_CAUSES:
        return f"{event.cause.value} is no service run"
    if not 1 <= event.max_volume_ml <= limits.service_max_ml:
        return f"a run may have 1 to {limits.service_max_ml} ml (limits.service_max_ml)"
    if not 1 <= event.max_duration_ms <= limits.service_max_ms:
        return f"a run may last 1 to {limits.service_max_ms} ms (limits.service_max_ms)"
    if state.service is not None:
        return "another service run is not over"
    return why_not_run(state)


def why_not_run(state: State) -> str | None:
    """What forbids the valve to open for a run, right now; None when nothing does."""
    if state.config is None:
        return "no config has come yet: set the tap up in the core, and the node's broker login in tap.toml"
    if state.config_unreadable:
        return "the tap's last config can't be read"
    if state.config.status is not ConfigStatus.CLEANING:
        return f"the tap's config says {state.config.status.value}: set the tap to cleaning first"
    if state.faults - NOT_NEEDED:
        return f"the hardware has a fault: {', '.join(sorted(state.faults - NOT_NEEDED))}"
    if not state.journal.writable or state.journal.stalled:
        return "the journal can't be written"
    if speaks_another_contract(state):
        return "a core worker speaks another contract version"
    if state.stopping:
        return "the node is ending"
    if state.phase not in (Phase.OUT_OF_SERVICE, Phase.FAULT) or state.pour or state.grant or state.valve_open:
        return f"the tap is busy: {state.phase.value}"
    return None


def note_run_held(state: State, event: ServiceRunHeld) -> Step:
    """The person is still there."""
    return (replace(state, service=replace(state.service, held_ms=event.at.now_ms)) if state.service else state), ()


def note_run_stopped(state: State, _event: ServiceRunStopped) -> Step:
    """The person has enough, or has gone."""
    return (replace(state, service=replace(state.service, stopped=True)) if state.service else state), ()


def open_for_run(state: State, event: ServiceRunJournalled) -> Step:
    """The run is on disk: check all of it again, right before the valve opens."""
    run = state.service
    if run is None or run.run_id != event.run_id or run.opened_ms is not None:
        return state, ()
    reason = why_drop(state, run, event.at)
    if reason is not None:
        return drop(state, run, reason)
    state, leak_effects = end_leak(state, event.at)
    now_ms, here_ml = event.at.now_ms, state.odometer.ml
    run = replace(
        run,
        opened_ms=now_ms,
        odometer_from_ml=here_ml,
        pulses_from=state.odometer.pulses,
        flowed_ms=now_ms,
        pace=Pace.begin(now_ms, here_ml),
    )
    open_flows = state.journal.open_flows | {run.run_id}
    state = replace(state, service=run, valve_open=True, journal=replace(state.journal, open_flows=open_flows))
    state, write = checkpoint(state, event.at)
    shown = Show(screen_text(ScreenText.OUT_OF_SERVICE, state.locale))
    return state, (OpenValveForService(run.run_id), *leak_effects, write, RunBegun(run.run_id), shown)


def why_drop(state: State, run: ServiceRun, at: Moment) -> str | None:
    """What has made a run pointless before it began."""
    if run.stopped:
        return "it was taken back"
    if is_let_go(state, run, at):
        return "whoever started it is gone"
    return why_not_run(state)


def is_let_go(state: State, run: ServiceRun, at: Moment) -> bool:
    """Whether nobody has held the run for too long."""
    return at.now_ms - run.held_ms >= state.limits.service_hold_ms


def drop(state: State, run: ServiceRun, reason: str) -> Step:
    """Nothing has flowed and nothing will."""
    return replace(state, service=None), (DropServiceRun(run.run_id), RunRefused(reason), Note(f"service run refused: {reason}"))


# ── while it runs ───────────────────────────────────────────────────────────


def watch_run(state: State, at: Moment) -> Step:
    """Close as soon as anything says so, and report when the tail has ended."""
    run = state.service
    if run is None:
        return state, ()
    if run.opened_ms is None:
        reason = why_drop(state, run, at)
        return drop(state, run, reason) if reason is not None else (state, ())
    if run.shut is None:
        end = why_close_run(state, run, run.opened_ms, at)
        if end is not None:
            return close_run(state, run, end, at)
        return replace(state, service=replace(run, pace=run.pace.go_on(at.now_ms, state.odometer.ml))), ()
    if is_tail_over(state, run.shut.at_ms, run.flowed_ms, at.now_ms):
        return hand_run_over(state, run, run.opened_ms, run.shut, at)
    return state, ()


def why_close_run(state: State, run: ServiceRun, opened_ms: int, at: Moment) -> EndReason | None:
    """What ends the run now; None when it may go on."""
    if state.faults - NOT_NEEDED or state.tripped or not state.journal.writable or state.journal.stalled:
        return EndReason.FAULT
    if state.config is None or state.config_unreadable or state.config.status is not ConfigStatus.CLEANING:
        return EndReason.DISABLED
    if run.stopped or state.stopping or is_let_go(state, run, at):
        return EndReason.STOPPED
    lead = lead_ml(state.closings, run.pace, state.limits, at.now_ms, state.odometer.ml)
    if is_cap_near(state.odometer.ml - run.odometer_from_ml, run.max_volume_ml, lead):
        return EndReason.LIMIT
    if at.now_ms - opened_ms >= run.max_duration_ms:
        return EndReason.MAX_DURATION
    if at.now_ms - run.flowed_ms >= state.limits.service_idle_ms:
        return EndReason.NO_FLOW
    return None


def close_run(state: State, run: ServiceRun, reason: EndReason, at: Moment) -> Step:
    """Close the valve; what still comes for a moment is the tail."""
    shut = Shut(at.now_ms, state.odometer.ml, run.pace)
    state = replace(state, service=replace(run, end_reason=reason, shut=shut), valve_open=False, tripped=False)
    return state, (CloseValve(None, reason),)


def hand_run_over(state: State, run: ServiceRun, opened_ms: int, shut: Shut, at: Moment) -> Step:
    """Write the report. From here on, flow belongs to nobody."""
    assert run.end_reason is not None
    stretch = Stretch(run.odometer_from_ml, shut.at_ms - opened_ms, ended_ms=shut.at_ms)
    report = unattributed(state, run.run_id, run.cause, stretch)
    over_ml = report.message.volume_ml - run.max_volume_ml if run.end_reason is EndReason.LIMIT else None
    closing = closing_of(shut, state.odometer.ml, over_ml, state.limits)
    fact = replace(report, closing=closing)
    effects: Effects = (
        WriteFlow(fact, ended=True, odometer=state.odometer),
        RunEnded(fact, run.end_reason, pulses=state.odometer.pulses - run.pulses_from),
        Note(f"service run {run.run_id}: {told(closing)}"),
    )
    state = replace(state, service=None, closings=learn(state.closings, closing))
    return begin_closed_flow(state, at), effects


def fail_waiting_run(state: State, text: str) -> Step:
    """The journal did not take the run: nothing opens."""
    run = state.service
    if run is None or run.opened_ms is not None:
        return state, ()
    return replace(state, service=None), (RunRefused(f"journal: {text}"),)


def is_running(state: State, fact_id: UUID) -> bool:
    """Whether the fact is the run that goes on; no verdict on it can be meant."""
    return state.service is not None and state.service.run_id == fact_id
