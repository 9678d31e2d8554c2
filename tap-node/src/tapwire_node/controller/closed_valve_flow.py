"""Flow through the closed valve: from `leak_ml` on an alarm and a fact.

While it lasts, a fact is ended at least each `leak_report_ms` and the next one begins where it ended, so that the odometer has no
hole. The leak is over when nothing has flowed for `leak_quiet_ms`.
"""

from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import FlowCause
from tapwire_node.controller.effects import Effects, RaiseAlarm, WriteFlow
from tapwire_node.controller.events import Moment
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.controller.state import ClosedValveFlow, Leak, State, StepResult

STOPPED: Final = RaiseAlarm("the flow through the closed valve has stopped")


def begin_closed_valve_flow(state: State, at: Moment) -> State:
    """Count flow from now on as unattributed."""
    here_ml = state.odometer.ml
    return replace(state, closed_valve_flow=ClosedValveFlow(from_ml=here_ml, seen_ml=here_ml, since_ms=at.now_ms))


def watch_closed_valve_flow(state: State, at: Moment) -> StepResult:
    """Account for flow while neither a pour nor a service run is metered."""
    if state.is_metering_pour or state.is_metering_run or not state.journal.opened:
        return state, ()
    flow = state.closed_valve_flow
    if state.odometer.ml > flow.seen_ml:
        since_ms = at.now_ms if flow.seen_ml == flow.from_ml else flow.since_ms
        leak = replace(flow.leak, flowed_ms=at.now_ms) if flow.leak else None
        flow = replace(flow, seen_ml=state.odometer.ml, since_ms=since_ms, leak=leak)
        state = replace(state, closed_valve_flow=flow)
    if flow.leak is not None:
        return continue_leak(state, flow.leak, at)
    enough_ml = 1 if flow.going_on else state.limits.leak_ml
    if flow.seen_ml - flow.from_ml >= enough_ml:
        return begin_leak(state, flow, at)
    if flow.going_on and (state.stopping or at.now_ms - flow.since_ms >= state.limits.leak_quiet_ms):
        return replace(state, closed_valve_flow=replace(flow, going_on=False)), (STOPPED,)
    return state, ()


def begin_leak(state: State, flow: ClosedValveFlow, at: Moment) -> StepResult:
    """Begin a fact; raise an alarm unless the leak was already known."""
    leak = Leak(
        event_id=at.new_id("leak"),
        odometer_from_ml=flow.from_ml,
        started_ms=flow.since_ms,
        flowed_ms=at.now_ms,
        card_uid=state.card.card_uid if state.card else None,
    )
    alarm: Effects = (
        () if flow.going_on else (RaiseAlarm(f"{flow.seen_ml - flow.from_ml} ml have flowed through the closed valve"),)
    )
    state = replace(
        state,
        closed_valve_flow=replace(flow, leak=leak, going_on=True),
        journal=replace(state.journal, open_flows=state.journal.open_flows | {leak.event_id}),
    )
    return state, (*alarm, WriteFlow(leak_fact(state, leak), ended=False, odometer=state.odometer))


def continue_leak(state: State, leak: Leak, at: Moment) -> StepResult:
    """End the fact when the flow has stopped, or after `leak_report_ms`."""
    is_over = at.now_ms - leak.flowed_ms >= state.limits.leak_quiet_ms or state.stopping
    if not is_over and at.now_ms - leak.started_ms < state.limits.leak_report_ms:
        return state, ()
    state, effects = end_leak(state, at)
    if not is_over:
        return replace(state, closed_valve_flow=replace(state.closed_valve_flow, going_on=True)), effects
    return state, (*effects, STOPPED)


def end_leak(state: State, at: Moment) -> StepResult:
    """End the running fact, if there is one."""
    leak = state.closed_valve_flow.leak
    if leak is None:
        return state, ()
    report = WriteFlow(leak_fact(state, leak), ended=True, odometer=state.odometer)
    return begin_closed_valve_flow(state, at), (report,)


def leak_fact(state: State, leak: Leak) -> Fact:
    """The leak's fact as it is now."""
    stretch = OdometerStretch(leak.odometer_from_ml, leak.flowed_ms - leak.started_ms, ended_ms=leak.flowed_ms)
    return unattributed_fact(state, leak.event_id, FlowCause.CLOSED_VALVE, stretch, leak.card_uid)


@dataclass(frozen=True, slots=True)
class OdometerStretch:
    """A stretch of the odometer up to its present value: its start, its duration, and the monotonic time of its end."""

    from_ml: int
    duration_ms: int
    ended_ms: int


def unattributed_fact(
    state: State, event_id: UUID, cause: FlowCause, stretch: OdometerStretch, card_uid: str | None = None
) -> Fact:
    """The fact of a flow without a grant; its volume is the length of its stretch of the odometer."""
    message = UnattributedFlow(
        event_id=event_id,
        cause=cause,
        volume_ml=state.odometer.ml - stretch.from_ml,
        duration_ms=stretch.duration_ms,
        card_uid=card_uid,
        age_ms=None,
        odometer_from_ml=stretch.from_ml,
        odometer_to_ml=state.odometer.ml,
        journal_id=state.journal.journal_id,
        boot_id=state.identity.boot_id,
    )
    return Fact(message, ended_ms=stretch.ended_ms)
