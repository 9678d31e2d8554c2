"""Events, the inputs of the controller. Each carries its moment, so that the controller needs no clock and no randomness."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid5

from tapwire_contracts.messages import (
    CoreState,
    FlowRecorded,
    PourAuthorized,
    PourDenied,
    PourSettled,
    RenewJournal,
    ReportPour,
    StopPour,
    TapConfig,
)
from tapwire_contracts.reasons import FlowCause
from tapwire_node.controller.flow_facts import Fact


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of an event: `now_ms` monotonic, `wall` RFC 3339 for people; `pulses` the meter's count, `entropy` a random id."""

    now_ms: int
    wall: str
    pulses: int
    entropy: UUID

    def new_id(self, purpose: str) -> UUID:
        """Derive a unique id; the same moment gives the same id for the same purpose."""
        return uuid5(self.entropy, purpose)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a moment."""

    at: Moment


EventFactory = Callable[[Moment], Event]
"""Makes an event of the moment at which the event loop handles it."""


@dataclass(frozen=True, slots=True)
class Ticked(Event):
    """Time has passed."""


# ── the tap's hardware ─────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class CardSeen(Event):
    """The reader sees a card: the first one, another one, or the same one again after `CardLifted`."""

    card_uid: str


@dataclass(frozen=True, slots=True)
class CardLifted(Event):
    """The reader no longer sees a card."""


class Part(StrEnum):
    """A piece of hardware that can fail."""

    READER = "reader"
    VALVE = "valve"
    METER = "meter"


@dataclass(frozen=True, slots=True)
class HardwareFailed(Event):
    """A part does not work."""

    part: Part
    text: str


@dataclass(frozen=True, slots=True)
class HardwareRecovered(Event):
    """A part works again."""

    part: Part


@dataclass(frozen=True, slots=True)
class ValveTripped(Event):
    """The valve's watchdog closed it, because the process did not feed the watchdog in time."""


@dataclass(frozen=True, slots=True)
class ShutdownRequested(Event):
    """The process was told to end."""


# ── a person at the node ───────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ServiceRunRequested(Event):
    """A person at the node requests flow: to clean the line, to calibrate or to test."""

    cause: FlowCause
    max_volume_ml: int
    max_duration_ms: int


@dataclass(frozen=True, slots=True)
class ServiceRunHeld(Event):
    """The program that started the run is still there."""


@dataclass(frozen=True, slots=True)
class ServiceRunStopped(Event):
    """The program that started the run stopped it, or disconnected."""


# ── the journal ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RecoveredJournal:
    """The journal's content when it was opened. `interrupted`: a power cut ended a pour. Ids are those of facts without a verdict.

    `closings`: the last closing times of the valve in ms, the oldest first. `unreadable`: ids, as stored, of reports without a
    verdict whose rows can't be read.
    """

    journal_id: UUID
    odometer_ml: int
    odometer_remainder: int
    pulses_per_liter: int | None
    config: TapConfig | None
    unsettled: tuple[UUID, ...]
    open_flows: frozenset[UUID]
    interrupted: bool
    closings: tuple[int, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalOpened(Event):
    """The journal can be written, for the first time in this boot or again."""

    recovered: RecoveredJournal


@dataclass(frozen=True, slots=True)
class JournalFailed(Event):
    """A write did not reach the disk."""

    text: str


@dataclass(frozen=True, slots=True)
class QuestionJournalled(Event):
    """The question's `seq` is on disk."""

    event_id: UUID
    seq: int


@dataclass(frozen=True, slots=True)
class GrantJournalled(Event):
    """The grant is on disk; every condition is checked again before the valve opens."""

    pour_id: UUID


@dataclass(frozen=True, slots=True)
class GrantAlreadyJournalled(Event):
    """The journal already has the pour's id, as a grant or as dead."""

    pour_id: UUID


@dataclass(frozen=True, slots=True)
class ServiceRunJournalled(Event):
    """The service run is on disk; every condition is checked again before the valve opens."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class FactJournalled(Event):
    """A fact is on disk and may be sent."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class ReportFound(Event):
    """The report that the core asked for; `settled` when its verdict is already known."""

    fact: Fact
    settled: bool


@dataclass(frozen=True, slots=True)
class ReportMissing(Event):
    """The journal can't say how a pour ended: it belongs to another journal, or its report was deleted or can't be read."""

    pour_id: UUID
    asked_journal_id: UUID


@dataclass(frozen=True, slots=True)
class JournalRenewed(Event):
    """The journal has a new id, on disk."""

    journal_id: UUID


@dataclass(frozen=True, slots=True)
class CheckpointJournalled(Event):
    """The odometer up to this value survives a power cut."""

    odometer_ml: int


# ── the broker and the core ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """The connection to the broker is established."""


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The connection to the broker is lost."""


@dataclass(frozen=True, slots=True)
class CoreSeen(Event):
    """A core worker published that it is online."""

    core: CoreState


@dataclass(frozen=True, slots=True)
class CoreGone(Event):
    """A core worker went offline."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class OtherNodeSeen(Event):
    """Another node has published a state with this node's login."""

    boot_id: UUID
    software: str


@dataclass(frozen=True, slots=True)
class ConfigReceived(Event):
    """The core published the tap's config."""

    config: TapConfig


@dataclass(frozen=True, slots=True)
class ConfigUnreadable(Event):
    """A config arrived that can't be decoded."""

    text: str


@dataclass(frozen=True, slots=True)
class GrantReceived(Event):
    """The core granted a question."""

    grant: PourAuthorized


@dataclass(frozen=True, slots=True)
class DenialReceived(Event):
    """The core denied a question."""

    denial: PourDenied


@dataclass(frozen=True, slots=True)
class VerdictReceived(Event):
    """The core's verdict on a pour's report."""

    verdict: PourSettled


@dataclass(frozen=True, slots=True)
class FlowVerdictReceived(Event):
    """The core recorded an unattributed flow."""

    verdict: FlowRecorded


@dataclass(frozen=True, slots=True)
class StopReceived(Event):
    """The core orders a pour to end."""

    stop: StopPour


@dataclass(frozen=True, slots=True)
class RenewalRequested(Event):
    """The core orders a new journal, as this one was set back."""

    renew: RenewJournal


@dataclass(frozen=True, slots=True)
class ReportRequested(Event):
    """The core asks for the report of a pour."""

    ask: ReportPour
