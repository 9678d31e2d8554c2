"""Observers of card, broker, core workers, config and hardware: they record an event in the state, in every phase.

What follows from it depends on the phase and is decided in `transitions`.
"""

from dataclasses import replace

from tapwire_contracts.messages import MISSED_HEARTBEATS, CardRemoved
from tapwire_contracts.reasons import ConfigStatus
from tapwire_node.controller.effects import Effects, LogLine, Publish, RaiseAlarm, ResendFacts, WriteConfig
from tapwire_node.controller.events import (
    CardLifted,
    CardSeen,
    ConfigReceived,
    ConfigUnreadable,
    Connected,
    CoreGone,
    CoreSeen,
    Disconnected,
    HardwareFailed,
    HardwareRecovered,
    Moment,
    OtherNodeSeen,
    Part,
    ShutdownRequested,
    Ticked,
    ValveTripped,
)
from tapwire_node.controller.state import Card, CoreWorker, State, StepResult, speaks_another_contract

# ── the card ────────────────────────────────────────────────────────────────


def observe_card_seen(state: State, event: CardSeen) -> StepResult:
    """Record a card; another card replaces the known one at once."""
    state = replace(state, reader_empty_ms=None)
    if state.card and state.card.card_uid == event.card_uid:
        return state, ()
    state, effects = forget_card(state, event.at)
    return replace(state, card=Card(event.card_uid, read_at=event.at.wall)), effects


def observe_card_lifted(state: State, event: CardLifted) -> StepResult:
    """Record that the reader is empty; the card counts as removed only after the debounce time."""
    if state.reader_empty_ms is not None:
        return state, ()
    return replace(state, reader_empty_ms=event.at.now_ms), ()


def observe_tick(state: State, event: Ticked) -> StepResult:
    """Remove the card when the debounce time has passed."""
    return forget_card(state, event.at) if is_reader_clear(state, event.at) else (state, ())


def is_reader_clear(state: State, at: Moment) -> bool:
    """True when the reader has been empty for the debounce time."""
    return state.reader_empty_ms is not None and at.now_ms - state.reader_empty_ms >= state.limits.card_debounce_ms


def forget_card(state: State, at: Moment) -> StepResult:
    """Remove the card; tell the core if the card was presented to it."""
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


# ── broker, core and config ────────────────────────────────────────────────────────────


def observe_connected(state: State, event: Connected) -> StepResult:
    """Record the connection; core workers show themselves by their `core_state`, retained or with their next heartbeat."""
    known = state.peers
    quiet_ms = max(state.limits.core_absence_ms, MISSED_HEARTBEATS * known.heartbeat_ms)
    peers = replace(known, connected=True, cores=(), absent_from_ms=event.at.now_ms + quiet_ms)
    return replace(state, peers=peers), (ResendFacts(),)


def observe_disconnected(state: State, _event: Disconnected) -> StepResult:
    """Record the loss of the connection."""
    return replace(state, peers=replace(state.peers, connected=False)), ()


def observe_core_seen(state: State, event: CoreSeen) -> StepResult:
    """Record a core worker's heartbeat; send every open fact again for a new one."""
    said = event.core
    others = tuple(core for core in state.peers.cores if core.instance_id != said.instance_id)
    is_new = len(others) == len(state.peers.cores)
    heard = CoreWorker(said.instance_id, said.contract_version, event.at.now_ms, said.heartbeat_ms)
    cores = tuple(sorted((*others, heard), key=lambda core: core.instance_id))
    state = replace(state, peers=replace(state.peers, cores=cores, ever_seen=True, heartbeat_ms=said.heartbeat_ms or 0))
    effects: Effects = (ResendFacts(),) if is_new else ()
    if is_new and speaks_another_contract(state):
        effects += (RaiseAlarm(f"core worker {said.instance_id} speaks contract {said.contract_version}: update the older side"),)
    return state, effects


def observe_core_gone(state: State, event: CoreGone) -> StepResult:
    """Remove a core worker; record the time at which the last one went."""
    cores = tuple(core for core in state.peers.cores if core.instance_id != event.instance_id)
    if len(cores) == len(state.peers.cores):
        return state, ()
    peers = replace(state.peers, cores=cores)
    if not cores:
        peers = replace(peers, absent_from_ms=event.at.now_ms + state.limits.core_absence_ms)
    return replace(state, peers=peers), ()


def forget_silent_cores(state: State, at: Moment) -> StepResult:
    """Remove the core workers that missed their heartbeats: without the last one, cards are refused at once."""
    peers = state.peers
    silent = [core for core in peers.cores if core.silent_from_ms is not None and at.now_ms >= core.silent_from_ms]
    if not silent:
        return state, ()
    cores = tuple(core for core in peers.cores if core not in silent)
    state = replace(state, peers=replace(peers, cores=cores, absent_from_ms=at.now_ms))
    return state, tuple(
        LogLine(f"core worker {core.instance_id} was not heard for {at.now_ms - core.heard_ms} ms") for core in silent
    )


def observe_other_node(state: State, event: OtherNodeSeen) -> StepResult:
    """Raise an alarm, once for each other boot. The core decides what follows: it grants nothing while both are there."""
    if state.other_node == event.boot_id:
        return state, ()
    return replace(state, other_node=event.boot_id), (RaiseAlarm(other_node_text(event, "tap")),)


def other_node_text(event: OtherNodeSeen, what: str) -> str:
    """The alarm of another node with the login of this tap, or of this desk reader."""
    return (
        f"another node ({event.software}, boot {event.boot_id}) uses this {what}'s login: look for a cloned memory card; "
        f"a second {what} needs a device of its own"
    )


# ── the config ──────────────────────────────────────────────────────────────


def observe_config(state: State, event: ConfigReceived) -> StepResult:
    """Apply a config unless the applied one is newer; a config that stops the tap always applies.

    An older config that stops the tap becomes the applied one: the core sees its revision in `node_state` and publishes the newest
    again, so that a stale config stops a tap only for a moment. An ignored config does not end the stop by an unreadable one.
    """
    applied, config = state.config, event.config
    if config == applied:
        return replace(state, config_unreadable=False), ()
    if applied and config.revision < applied.revision and config.status == ConfigStatus.ACTIVE:
        return state, (LogLine(f"config revision {config.revision} ignored, {applied.revision} is applied"),)
    note = LogLine(f"config revision {config.revision}: {config.status}, {config.pulses_per_liter} pulses per litre")
    return replace(state, config=config, config_unreadable=False), (WriteConfig(config), note)


def observe_config_unreadable(state: State, event: ConfigUnreadable) -> StepResult:
    """Stop the tap until a readable config comes, as the core may have ordered anything."""
    return replace(state, config_unreadable=True), (RaiseAlarm(f"the config can't be read: {event.text}"),)


# ── the hardware and the process ────────────────────────────────────────────


def observe_hardware_failed(state: State, event: HardwareFailed) -> StepResult:
    """Record a broken part: no valve opens, and an open one closes."""
    known = event.part in state.faults
    empty_ms = None if event.part is Part.READER else state.reader_empty_ms
    state = replace(state, faults=state.faults | {event.part}, reader_empty_ms=empty_ms)
    return state, () if known else (RaiseAlarm(f"{event.part.value}: {event.text}"),)


def observe_hardware_recovered(state: State, event: HardwareRecovered) -> StepResult:
    """Record a repaired part. A card that lay on the reader meanwhile must be removed first."""
    if event.part not in state.faults:
        return state, ()
    return replace(state, faults=state.faults - {event.part}, card_must_be_removed=True), (
        LogLine(f"{event.part.value} works again"),
    )


def observe_valve_tripped(state: State, _event: ValveTripped) -> StepResult:
    """Record that the watchdog closed the valve; this matters only if the controller still has it open."""
    return replace(state, watchdog_tripped=state.valve_open), (
        RaiseAlarm("the valve was closed by its watchdog: the node did not keep up"),
    )


def observe_shutdown(state: State, _event: ShutdownRequested) -> StepResult:
    """Record that the process is shutting down."""
    return replace(state, stopping=True), ()
