"""What an event tells, whatever the phase: the card, who is there, the journal, the config, the hardware.

These only take note; what follows from it is decided by the phase, in `transitions`.
"""

from dataclasses import replace

from tapwire_contracts.messages import CardRemoved
from tapwire_contracts.reasons import ConfigStatus
from tapwire_node.controller.closing_lead import REMEMBERED_CLOSINGS
from tapwire_node.controller.effects import Alarm, Effects, Note, Publish, ResendFacts, WriteConfig
from tapwire_node.controller.events import (
    CardLifted,
    CardSeen,
    CheckpointJournalled,
    ConfigReceived,
    ConfigUnreadable,
    Connected,
    CoreGone,
    CoreSeen,
    Disconnected,
    HardwareFailed,
    HardwareRecovered,
    JournalOpened,
    Moment,
    Part,
    Recovered,
    ShutdownAsked,
    Ticked,
    ValveTripped,
)
from tapwire_node.controller.odometer import Odometer
from tapwire_node.controller.state import Card, ClosedFlow, Presence, State, speaks_another_contract

Step = tuple[State, Effects]


# ── the card ────────────────────────────────────────────────────────────────


def note_card(state: State, event: CardSeen) -> Step:
    """A card is there. Another one than before takes its place at once."""
    state = replace(state, reader_empty_ms=None)
    if state.card and state.card.card_uid == event.card_uid:
        return state, ()
    state, effects = forget_card(state, event.at)
    return replace(state, card=Card(event.card_uid, read_at=event.at.wall)), effects


def note_card_lifted(state: State, event: CardLifted) -> Step:
    """Nothing is on the reader; the card counts as gone only after the debounce time."""
    if state.reader_empty_ms is not None:
        return state, ()
    return replace(state, reader_empty_ms=event.at.now_ms), ()


def note_time(state: State, event: Ticked) -> Step:
    """The card is gone when the debounce time has passed."""
    return forget_card(state, event.at) if is_reader_clear(state, event.at) else (state, ())


def is_reader_clear(state: State, at: Moment) -> bool:
    """Whether the reader has been empty for the debounce time."""
    return state.reader_empty_ms is not None and at.now_ms - state.reader_empty_ms >= state.limits.card_debounce_ms


def forget_card(state: State, at: Moment) -> Step:
    """The card is gone; the core hears of it if it heard of the card."""
    card = state.card
    state = replace(state, card=None)
    if card is None or not card.presented:
        return state, ()
    removed = CardRemoved(
        event_id=at.new_id("card_removed"),
        card_uid=card.card_uid,
        reader_id=state.identity.reader_id,
        removed_at=at.wall,
        boot_id=state.identity.boot_id,
    )
    return state, (Publish(removed),)


# ── who is there ────────────────────────────────────────────────────────────


def note_connected(state: State, event: Connected) -> Step:
    """The broker is there; which core workers are, it will say."""
    presence = Presence(connected=True, ever_seen=state.presence.ever_seen, empty_since_ms=event.at.now_ms)
    return replace(state, presence=presence), (ResendFacts(),)


def note_disconnected(state: State, _event: Disconnected) -> Step:
    """The broker is away."""
    return replace(state, presence=replace(state.presence, connected=False)), ()


def note_core(state: State, event: CoreSeen) -> Step:
    """A core worker is there; to a new one everything open is sent again."""
    cores = dict(state.presence.cores)
    is_new = event.core.instance_id not in cores
    cores[event.core.instance_id] = event.core.contract_version
    state = replace(state, presence=replace(state.presence, cores=tuple(sorted(cores.items())), ever_seen=True))
    effects: Effects = (ResendFacts(),) if is_new else ()
    if is_new and speaks_another_contract(state):
        effects += (
            Alarm(f"core worker {event.core.instance_id} speaks contract {event.core.contract_version}: update the older side"),
        )
    return state, effects


def note_core_gone(state: State, event: CoreGone) -> Step:
    """A core worker is gone."""
    cores = tuple(core for core in state.presence.cores if core[0] != event.instance_id)
    if len(cores) == len(state.presence.cores):
        return state, ()
    presence = replace(state.presence, cores=cores)
    if not cores:
        presence = replace(presence, empty_since_ms=event.at.now_ms)
    return replace(state, presence=presence), ()


# ── the config ──────────────────────────────────────────────────────────────


def note_config(state: State, event: ConfigReceived) -> Step:
    """Apply a config, unless an applied one is newer; one that stops the tap is always obeyed.

    Its revision counts as the applied one then: the core sees the difference in `node_state` and publishes again, so that a
    stale order can stop a tap for a moment but never for good. One that is ignored says nothing instead of one that can't be read.
    """
    applied, config = state.config, event.config
    if config == applied:
        return replace(state, config_unreadable=False), ()
    if applied and config.revision < applied.revision and config.status is ConfigStatus.ACTIVE:
        return state, (Note(f"config revision {config.revision} ignored, {applied.revision} is applied"),)
    note = Note(f"config revision {config.revision}: {config.status.value}, {config.pulses_per_liter} pulses per litre")
    return replace(state, config=config, config_unreadable=False), (WriteConfig(config), note)


def note_config_unreadable(state: State, event: ConfigUnreadable) -> Step:
    """What the tap is to do now is not known: nothing flows until a config has come that can be read."""
    return replace(state, config_unreadable=True), (Alarm(f"the config can't be read: {event.text}"),)


# ── the journal ─────────────────────────────────────────────────────────────


def note_journal_opened(state: State, event: JournalOpened) -> Step:
    """The journal can be written; the first time, what it held is the start of everything."""
    if state.journal.opened:
        return replace(state, journal=replace(state.journal, writable=True)), (Note("the journal can be written again"),)
    alarms = tuple(
        Alarm(f"the report {fact_id} can't be read in the journal and is not sent: save it (tapwire-node journal export)")
        for fact_id in event.recovered.unreadable
    )
    return adopt(state, event.recovered, event.at), alarms


def adopt(state: State, recovered: Recovered, at: Moment) -> State:
    """Go on where the journal stopped; what flowed before it could be opened is added."""
    config = state.config or recovered.config
    factor = config.pulses_per_liter if config else state.odometer.pulses_per_liter
    start = Odometer(
        ml=recovered.odometer_ml,
        remainder=recovered.odometer_remainder,
        pulses=state.odometer.pulses,
        pulses_per_liter=recovered.pulses_per_liter or factor,
    ).recalibrate(factor)
    journal = replace(
        state.journal,
        journal_id=recovered.journal_id,
        opened=True,
        writable=True,
        odometer_ml=recovered.odometer_ml,
        unsettled=recovered.unsettled,
        open_flows=recovered.open_flows,
        checkpoint_ms=at.now_ms,
        checkpoint_ml=recovered.odometer_ml,
        checkpoint_pulses=0,
    )
    return replace(
        state,
        config=config,
        odometer=replace(start, ml=start.ml + state.odometer.ml),
        closed_flow=ClosedFlow(from_ml=start.ml, seen_ml=start.ml, since_ms=at.now_ms),
        journal=journal,
        closings=recovered.closings[-REMEMBERED_CLOSINGS:],
        card_must_go=state.card_must_go or recovered.interrupted,
    )


def note_checkpoint(state: State, event: CheckpointJournalled) -> Step:
    """The odometer up to here is on disk."""
    return replace(state, journal=replace(state.journal, odometer_ml=event.odometer_ml)), ()


# ── the hardware and the process ────────────────────────────────────────────


def note_hardware_failed(state: State, event: HardwareFailed) -> Step:
    """A part does not work: no valve opens, and an open one closes."""
    known = event.part in state.faults
    empty_ms = None if event.part is Part.READER else state.reader_empty_ms
    state = replace(state, faults=state.faults | {event.part}, reader_empty_ms=empty_ms)
    return state, () if known else (Alarm(f"{event.part.value}: {event.text}"),)


def note_hardware_recovered(state: State, event: HardwareRecovered) -> Step:
    """A part works again. A card that lay on meanwhile must go first."""
    if event.part not in state.faults:
        return state, ()
    return replace(state, faults=state.faults - {event.part}, card_must_go=True), (Note(f"{event.part.value} works again"),)


def note_valve_tripped(state: State, _event: ValveTripped) -> Step:
    """The valve's watchdog closed it; if it was closed meanwhile anyway, nothing follows."""
    return replace(state, tripped=state.valve_open), (Alarm("the valve was closed by its watchdog: the node did not keep up"),)


def note_shutdown(state: State, _event: ShutdownAsked) -> Step:
    """The process is to end."""
    return replace(state, stopping=True), ()
