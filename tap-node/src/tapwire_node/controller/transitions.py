"""The tap's state machine: one pure step for each event.

A step has five parts:

1. The meter's count is converted to ml and checked for plausibility; the journal is checked for stalling, core workers for silence.
2. `OBSERVERS` records in the state what the event says, in every phase: card, broker, core, journal, config, hardware.
3. `TRANSITIONS` decides by phase and event. A pair that is not in the table is ignored: either it can't happen, or its observer has
   recorded it and the next tick (at most 20 ms later during a pour) acts on it.
4. A service run is watched.
5. Flow through the closed valve is accounted for, a checkpoint is written if due, a resting tap takes its phase, and a journal
   that was set back is renewed.

IDLE, AUTHORIZING, POURING and SETTLING are entered by the table alone. CARD_MUST_BE_REMOVED follows every pour, denial and
abandoned question. A resting tap is OUT_OF_SERVICE or FAULT while something forbids questions; a question is abandoned and a pour
closed for the same reasons, so these two phases are reached from every other one.

    IDLE → AUTHORIZING → POURING → SETTLING → CARD_MUST_BE_REMOVED → IDLE
                      ↘ CARD_MUST_BE_REMOVED                 (at rest: ⇄ OUT_OF_SERVICE, FAULT)

The valve opens in `grant.open_if_still_true`, for a service run in `service_run.open_for_run`, and nowhere else. Closing comes
before all other effects of a step. A service run is not a phase: the tap is OUT_OF_SERVICE meanwhile, and every step watches the
run.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from tapwire_contracts.reasons import Phase
from tapwire_node.controller.closed_valve_flow import watch_closed_valve_flow
from tapwire_node.controller.core_commands import answer_report_request, receive_flow_verdict, receive_stop, receive_verdict
from tapwire_node.controller.effects import CloseValve, Effects, OpenValve, OpenValveForService, PublishState, WriteCheckpoint
from tapwire_node.controller.events import (
    CardLifted,
    CardSeen,
    CheckpointJournalled,
    ConfigReceived,
    ConfigUnreadable,
    Connected,
    CoreGone,
    CoreSeen,
    DenialReceived,
    Disconnected,
    Event,
    FactJournalled,
    FlowVerdictReceived,
    GrantAlreadyJournalled,
    GrantJournalled,
    GrantReceived,
    HardwareFailed,
    HardwareRecovered,
    JournalFailed,
    JournalOpened,
    JournalRenewed,
    Moment,
    OtherNodeSeen,
    Part,
    QuestionJournalled,
    RenewalRequested,
    ReportFound,
    ReportMissing,
    ReportRequested,
    ServiceRunHeld,
    ServiceRunJournalled,
    ServiceRunRequested,
    ServiceRunStopped,
    ShutdownRequested,
    StopReceived,
    Ticked,
    ValveTripped,
    VerdictReceived,
)
from tapwire_node.controller.grant import (
    drop_repeated_grant,
    open_if_still_true,
    receive_grant,
    refuse_journalled_grant,
    refuse_late_grant,
)
from tapwire_node.controller.journal_answers import (
    observe_checkpoint,
    observe_grant_journalled,
    observe_journal_failed,
    observe_journal_opened,
    publish_pour_unknown,
    send_found_report,
    send_journalled_fact,
)
from tapwire_node.controller.journal_renewal import observe_renewed, receive_renewal, renew_if_due
from tapwire_node.controller.journal_stall import is_checkpoint_pending, track_writes, watch_journal_stall
from tapwire_node.controller.meter_check import check_meter
from tapwire_node.controller.node_state import is_worth_publishing, published_state
from tapwire_node.controller.observations import (
    forget_silent_cores,
    observe_card_lifted,
    observe_card_seen,
    observe_config,
    observe_config_unreadable,
    observe_connected,
    observe_core_gone,
    observe_core_seen,
    observe_disconnected,
    observe_hardware_failed,
    observe_hardware_recovered,
    observe_other_node,
    observe_shutdown,
    observe_tick,
    observe_valve_tripped,
)
from tapwire_node.controller.pouring import (
    advance_settling,
    current_checkpoint,
    finish_by_verdict,
    free_reader,
    take_checkpoint,
    watch_pour,
)
from tapwire_node.controller.question import ask_core, receive_denial, repeat_or_give_up, screen_effect, send_question
from tapwire_node.controller.screen_texts import ScreenText
from tapwire_node.controller.service_run import observe_run_held, observe_run_stopped, open_for_run, request_run, watch_run
from tapwire_node.controller.state import RESTING_PHASES, State, StepResult, resting_phase

Handler = Callable[[State, Any], StepResult]


def refuse_card(state: State, _event: CardSeen) -> StepResult:
    """Tell the guest that the tap is out of service; the card must be removed before it can ask."""
    return replace(state, card_must_be_removed=True), (screen_effect(state, ScreenText.OUT_OF_SERVICE),)


OBSERVERS: Final[Mapping[type[Event], Handler]] = {
    Ticked: observe_tick,
    CardSeen: observe_card_seen,
    CardLifted: observe_card_lifted,
    HardwareFailed: observe_hardware_failed,
    HardwareRecovered: observe_hardware_recovered,
    ValveTripped: observe_valve_tripped,
    ShutdownRequested: observe_shutdown,
    ServiceRunRequested: request_run,
    ServiceRunHeld: observe_run_held,
    ServiceRunStopped: observe_run_stopped,
    ServiceRunJournalled: open_for_run,
    JournalOpened: observe_journal_opened,
    JournalFailed: observe_journal_failed,
    GrantJournalled: observe_grant_journalled,
    GrantAlreadyJournalled: drop_repeated_grant,
    FactJournalled: send_journalled_fact,
    ReportFound: send_found_report,
    ReportMissing: publish_pour_unknown,
    CheckpointJournalled: observe_checkpoint,
    Connected: observe_connected,
    Disconnected: observe_disconnected,
    CoreSeen: observe_core_seen,
    CoreGone: observe_core_gone,
    OtherNodeSeen: observe_other_node,
    ConfigReceived: observe_config,
    ConfigUnreadable: observe_config_unreadable,
    VerdictReceived: receive_verdict,
    FlowVerdictReceived: receive_flow_verdict,
    StopReceived: receive_stop,
    ReportRequested: answer_report_request,
    RenewalRequested: receive_renewal,
    JournalRenewed: observe_renewed,
}

TRANSITIONS: Final[Mapping[tuple[Phase, type[Event]], Handler]] = {
    (Phase.IDLE, CardSeen): ask_core,
    (Phase.AUTHORIZING, QuestionJournalled): send_question,
    (Phase.AUTHORIZING, DenialReceived): receive_denial,
    (Phase.AUTHORIZING, GrantReceived): receive_grant,
    (Phase.AUTHORIZING, GrantJournalled): open_if_still_true,
    (Phase.AUTHORIZING, Ticked): repeat_or_give_up,
    (Phase.AUTHORIZING, CardSeen): repeat_or_give_up,
    (Phase.AUTHORIZING, ConfigReceived): repeat_or_give_up,
    (Phase.AUTHORIZING, ConfigUnreadable): repeat_or_give_up,
    (Phase.AUTHORIZING, JournalFailed): repeat_or_give_up,
    (Phase.AUTHORIZING, HardwareFailed): repeat_or_give_up,
    (Phase.AUTHORIZING, CoreSeen): repeat_or_give_up,
    (Phase.AUTHORIZING, ShutdownRequested): repeat_or_give_up,
    (Phase.POURING, Ticked): watch_pour,
    (Phase.POURING, CardSeen): watch_pour,
    (Phase.POURING, StopReceived): watch_pour,
    (Phase.POURING, ConfigReceived): watch_pour,
    (Phase.POURING, ConfigUnreadable): watch_pour,
    (Phase.POURING, JournalFailed): watch_pour,
    (Phase.POURING, HardwareFailed): watch_pour,
    (Phase.POURING, ValveTripped): watch_pour,
    (Phase.POURING, ShutdownRequested): watch_pour,
    (Phase.SETTLING, Ticked): advance_settling,
    (Phase.SETTLING, VerdictReceived): finish_by_verdict,
    (Phase.CARD_MUST_BE_REMOVED, Ticked): free_reader,
    (Phase.OUT_OF_SERVICE, Ticked): free_reader,
    (Phase.OUT_OF_SERVICE, CardSeen): refuse_card,
    (Phase.FAULT, Ticked): free_reader,
    (Phase.FAULT, CardSeen): refuse_card,
    **{(phase, GrantReceived): refuse_late_grant for phase in Phase if phase is not Phase.AUTHORIZING},
    **{(phase, GrantJournalled): refuse_journalled_grant for phase in Phase if phase is not Phase.AUTHORIZING},
}


def step(state: State, event: Event) -> StepResult:
    """Return the state after an event, and the effects to carry out in this order."""
    before = published_state(state)
    state, judged = apply_meter_check(convert_pulses(state, event.at), event.at)
    state, watched = watch_journal_stall(state, event)
    state, missed = forget_silent_cores(state, event.at)
    state, noted = OBSERVERS.get(type(event), ignore_event)(state, event)
    state, acted = TRANSITIONS.get((state.phase, type(event)), ignore_event)(state, event)
    state, served = watch_run(state, event.at)
    state, leaked = watch_closed_valve_flow(state, event.at)
    state, checkpointed = checkpoint_if_due(state, event.at)
    state = update_resting_phase(state)
    state, renewed = renew_if_due(state, event.at)
    published: Effects = (PublishState(),) if is_worth_publishing(before, published_state(state)) else ()
    effects = close_first((*judged, *watched, *missed, *noted, *acted, *served, *leaked, *checkpointed, *renewed, *published))
    return track_writes(state, effects, event.at), effects


def ignore_event(state: State, _event: Event) -> StepResult:
    """Change nothing."""
    return state, ()


def close_first(effects: Effects) -> Effects:
    """Move closing the valve before all other effects; a step that closes opens nothing."""
    closing = [effect for effect in effects if isinstance(effect, CloseValve)]
    if not closing:
        return effects
    return (*closing, *(effect for effect in effects if not isinstance(effect, CloseValve | OpenValve | OpenValveForService)))


def convert_pulses(state: State, at: Moment) -> State:
    """Convert new pulses to ml, and record when the pour or service run last flowed."""
    odometer = state.odometer.advance(at.pulses)
    if odometer is state.odometer:
        return state
    state = replace(state, odometer=odometer)
    if state.pour is not None and state.is_metering_pour:
        return replace(state, pour=replace(state.pour, flowed_ms=at.now_ms))
    if state.service_run is not None and state.is_metering_run:
        return replace(state, service_run=replace(state.service_run, flowed_ms=at.now_ms))
    return state


def apply_meter_check(state: State, at: Moment) -> StepResult:
    """Record whether the meter is plausible. A card that lay on the reader meanwhile must be removed first."""
    window, faults, effects = check_meter(state.pulse_window, state.faults, state.limits, state.odometer.pulses_per_liter, at)
    changed = faults != state.faults
    state = replace(state, pulse_window=window, faults=faults, card_must_be_removed=state.card_must_be_removed or changed)
    return state, (*effects, screen_effect(state, ScreenText.OUT_OF_SERVICE)) if Part.METER in faults and changed else effects


def checkpoint_if_due(state: State, at: Moment) -> StepResult:
    """Write a checkpoint each `checkpoint_ms` or `checkpoint_ml`, during a pour or run and while the odometer moves."""
    journal, limits = state.journal, state.limits
    far_enough = (
        at.now_ms - journal.checkpoint_ms >= limits.checkpoint_ms
        or state.odometer.ml - journal.checkpoint_ml >= limits.checkpoint_ml
    )
    moves = state.is_metering_pour or state.is_metering_run or state.odometer.pulses != journal.checkpoint_pulses
    if not journal.writable or is_checkpoint_pending(state) or not far_enough or not moves:
        return state, ()
    state, write = take_checkpoint(state, at)
    return state, (write,)


def last_checkpoint(state: State, at: Moment) -> WriteCheckpoint:
    """The checkpoint of a node that ends now, in any phase."""
    return current_checkpoint(convert_pulses(state, at), at)


def update_resting_phase(state: State) -> State:
    """Take the phase of a tap at rest, and the config's conversion factor, which never changes during a pour or run."""
    is_metering = state.is_metering_pour or state.is_metering_run
    if state.config and not is_metering and state.config.pulses_per_liter != state.odometer.pulses_per_liter:
        state = replace(state, odometer=state.odometer.recalibrate(state.config.pulses_per_liter))
    return replace(state, phase=resting_phase(state)) if state.phase in RESTING_PHASES else state
