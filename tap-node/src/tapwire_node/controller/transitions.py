"""The tap's state machine: one pure step for each thing that happens.

A step has five parts. First the meter's count is converted, and judged, as is the journal's pace. Then `NOTED` takes note of what
the event tells, in every phase: who is there, what the core and the journal said. Then `TRANSITIONS` decides by the phase. A pair
that is not in the table is ignored: either it can't happen there (a tick asks nothing of an idle tap) or what it told has been
noted and the next tick, at most some 20 ms later in a pour, acts on it. Then a service run is watched. At last come flow through
the closed valve, checkpoints, and the phase at rest.

Phases: IDLE, AUTHORIZING, POURING and SETTLING are entered by the table alone. CARD_MUST_BE_REMOVED follows every pour, denial and
give-up. OUT_OF_SERVICE and FAULT are what a resting tap becomes while something forbids it to ask; asking is given up for them and
a pour closed, so that they are reached from everywhere.

    IDLE → AUTHORIZING → POURING → SETTLING → CARD_MUST_BE_REMOVED → IDLE
                      ↘ CARD_MUST_BE_REMOVED                 (at rest: ⇄ OUT_OF_SERVICE, FAULT)

The valve opens in `asking.open_if_still_true`, for a service run in `service.open_for_run`, and nowhere else. It closes before
anything else that a step wants. A service run is no phase: the tap is OUT_OF_SERVICE while it goes on, and every step watches it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from tapwire_contracts.reasons import Phase
from tapwire_node.controller.closed_valve_flow import watch_closed_flow
from tapwire_node.controller.core_commands import (
    answer_report_asked,
    note_flow_verdict,
    note_grant_journalled,
    note_journal_failed,
    note_stop,
    note_verdict,
    say_unknown,
    send_fact,
    send_found_report,
)
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
    GrantJournalled,
    GrantKnown,
    GrantReceived,
    HardwareFailed,
    HardwareRecovered,
    JournalFailed,
    JournalOpened,
    Moment,
    Part,
    QuestionJournalled,
    ReportAsked,
    ReportFound,
    ReportMissing,
    ServiceRunAsked,
    ServiceRunHeld,
    ServiceRunJournalled,
    ServiceRunStopped,
    ShutdownAsked,
    StopReceived,
    Ticked,
    ValveTripped,
    VerdictReceived,
)
from tapwire_node.controller.journal_stall import is_checkpoint_on_its_way, note_handed_over, watch_journal
from tapwire_node.controller.meter_check import judge_meter
from tapwire_node.controller.observations import (
    Step,
    note_card,
    note_card_lifted,
    note_checkpoint,
    note_config,
    note_config_unreadable,
    note_connected,
    note_core,
    note_core_gone,
    note_disconnected,
    note_hardware_failed,
    note_hardware_recovered,
    note_journal_opened,
    note_shutdown,
    note_time,
    note_valve_tripped,
)
from tapwire_node.controller.pouring import checkpoint, free_reader, settle, settle_by_verdict, standing, watch
from tapwire_node.controller.question import (
    ask,
    forget_known_grant,
    keep_asking,
    open_if_still_true,
    refuse_late_grant,
    refuse_written_grant,
    send_question,
    show,
    take_denial,
    take_grant,
)
from tapwire_node.controller.screen_texts import ScreenText
from tapwire_node.controller.service_run import note_run_held, note_run_stopped, open_for_run, take_run, watch_run
from tapwire_node.controller.state import RESTING, State, differs, resting_phase, shown

Handler = Callable[[State, Any], Step]


def refuse_card(state: State, _event: CardSeen) -> Step:
    """A card on a tap that is out of service."""
    return replace(state, card_must_go=True), (show(state, ScreenText.OUT_OF_SERVICE),)


NOTED: Final[Mapping[type[Event], Handler]] = {
    Ticked: note_time,
    CardSeen: note_card,
    CardLifted: note_card_lifted,
    HardwareFailed: note_hardware_failed,
    HardwareRecovered: note_hardware_recovered,
    ValveTripped: note_valve_tripped,
    ShutdownAsked: note_shutdown,
    ServiceRunAsked: take_run,
    ServiceRunHeld: note_run_held,
    ServiceRunStopped: note_run_stopped,
    ServiceRunJournalled: open_for_run,
    JournalOpened: note_journal_opened,
    JournalFailed: note_journal_failed,
    GrantJournalled: note_grant_journalled,
    GrantKnown: forget_known_grant,
    FactJournalled: send_fact,
    ReportFound: send_found_report,
    ReportMissing: say_unknown,
    CheckpointJournalled: note_checkpoint,
    Connected: note_connected,
    Disconnected: note_disconnected,
    CoreSeen: note_core,
    CoreGone: note_core_gone,
    ConfigReceived: note_config,
    ConfigUnreadable: note_config_unreadable,
    VerdictReceived: note_verdict,
    FlowVerdictReceived: note_flow_verdict,
    StopReceived: note_stop,
    ReportAsked: answer_report_asked,
}

TRANSITIONS: Final[Mapping[tuple[Phase, type[Event]], Handler]] = {
    (Phase.IDLE, CardSeen): ask,
    (Phase.AUTHORIZING, QuestionJournalled): send_question,
    (Phase.AUTHORIZING, DenialReceived): take_denial,
    (Phase.AUTHORIZING, GrantReceived): take_grant,
    (Phase.AUTHORIZING, GrantJournalled): open_if_still_true,
    (Phase.AUTHORIZING, Ticked): keep_asking,
    (Phase.AUTHORIZING, CardSeen): keep_asking,
    (Phase.AUTHORIZING, ConfigReceived): keep_asking,
    (Phase.AUTHORIZING, ConfigUnreadable): keep_asking,
    (Phase.AUTHORIZING, JournalFailed): keep_asking,
    (Phase.AUTHORIZING, HardwareFailed): keep_asking,
    (Phase.AUTHORIZING, CoreSeen): keep_asking,
    (Phase.AUTHORIZING, ShutdownAsked): keep_asking,
    (Phase.POURING, Ticked): watch,
    (Phase.POURING, CardSeen): watch,
    (Phase.POURING, StopReceived): watch,
    (Phase.POURING, ConfigReceived): watch,
    (Phase.POURING, ConfigUnreadable): watch,
    (Phase.POURING, JournalFailed): watch,
    (Phase.POURING, HardwareFailed): watch,
    (Phase.POURING, ValveTripped): watch,
    (Phase.POURING, ShutdownAsked): watch,
    (Phase.SETTLING, Ticked): settle,
    (Phase.SETTLING, VerdictReceived): settle_by_verdict,
    (Phase.CARD_MUST_BE_REMOVED, Ticked): free_reader,
    (Phase.OUT_OF_SERVICE, Ticked): free_reader,
    (Phase.OUT_OF_SERVICE, CardSeen): refuse_card,
    (Phase.FAULT, Ticked): free_reader,
    (Phase.FAULT, CardSeen): refuse_card,
    **{(phase, GrantReceived): refuse_late_grant for phase in Phase if phase is not Phase.AUTHORIZING},
    **{(phase, GrantJournalled): refuse_written_grant for phase in Phase if phase is not Phase.AUTHORIZING},
}


def step(state: State, event: Event) -> Step:
    """The state after an event, and what is to be done, in this order."""
    before = shown(state)
    state, judged = judge(meter(state, event.at), event.at)
    state, watched = watch_journal(state, event)
    state, noted = NOTED.get(type(event), ignore)(state, event)
    state, acted = TRANSITIONS.get((state.phase, type(event)), ignore)(state, event)
    state, served = watch_run(state, event.at)
    state, leaked = watch_closed_flow(state, event.at)
    state, checkpointed = keep_checkpoints(state, event.at)
    state = rest(state)
    told: Effects = (PublishState(),) if differs(before, shown(state)) else ()
    effects = close_first((*judged, *watched, *noted, *acted, *served, *leaked, *checkpointed, *told))
    return note_handed_over(state, effects, event.at), effects


def ignore(state: State, _event: Event) -> Step:
    """Nothing follows."""
    return state, ()


def close_first(effects: Effects) -> Effects:
    """Whatever else a step wants, the valve closes before it; a step that closes opens nothing."""
    closing = [effect for effect in effects if isinstance(effect, CloseValve)]
    if not closing:
        return effects
    return (*closing, *(effect for effect in effects if not isinstance(effect, CloseValve | OpenValve | OpenValveForService)))


def meter(state: State, at: Moment) -> State:
    """Convert the pulses that have come, and remember when a pour last flowed."""
    odometer = state.odometer.advance(at.pulses)
    if odometer is state.odometer:
        return state
    state = replace(state, odometer=odometer)
    if state.pour is not None and state.is_metering_pour:
        return replace(state, pour=replace(state.pour, flowed_ms=at.now_ms))
    if state.service is not None and state.is_metering_run:
        return replace(state, service=replace(state.service, flowed_ms=at.now_ms))
    return state


def judge(state: State, at: Moment) -> Step:
    """Whether the meter can be believed; when it can again, a card that lay on meanwhile must go first."""
    race, faults, effects = judge_meter(state.meter_race, state.faults, state.limits, state.odometer.pulses_per_liter, at)
    changed = faults != state.faults
    state = replace(state, meter_race=race, faults=faults, card_must_go=state.card_must_go or changed)
    return state, (*effects, show(state, ScreenText.OUT_OF_SERVICE)) if Part.METER in faults and changed else effects


def keep_checkpoints(state: State, at: Moment) -> Step:
    """Write the odometer while it moves, and a running pour at least each `checkpoint_ms` or `checkpoint_ml`."""
    journal, limits = state.journal, state.limits
    far_enough = (
        at.now_ms - journal.checkpoint_ms >= limits.checkpoint_ms
        or state.odometer.ml - journal.checkpoint_ml >= limits.checkpoint_ml
    )
    moves = state.is_metering_pour or state.is_metering_run or state.odometer.pulses != journal.checkpoint_pulses
    if not journal.writable or is_checkpoint_on_its_way(state) or not far_enough or not moves:
        return state, ()
    state, write = checkpoint(state, at)
    return state, (write,)


def last_checkpoint(state: State, at: Moment) -> WriteCheckpoint:
    """What the journal is to hold of a node that ends now, wherever it stood."""
    return standing(meter(state, at), at)


def rest(state: State) -> State:
    """The phase of a tap at rest, and the conversion factor, which changes between pours only."""
    is_metering = state.is_metering_pour or state.is_metering_run
    if state.config and not is_metering and state.config.pulses_per_liter != state.odometer.pulses_per_liter:
        state = replace(state, odometer=state.odometer.recalibrate(state.config.pulses_per_liter))
    return replace(state, phase=resting_phase(state)) if state.phase in RESTING else state
