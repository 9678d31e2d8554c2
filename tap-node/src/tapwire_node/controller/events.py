"""What happens to a tap; each event carries its moment, so that the controller needs no clock and no randomness."""

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
    ReportPour,
    StopPour,
    TapConfig,
)
from tapwire_contracts.reasons import FlowCause
from tapwire_node.controller.flow_facts import Fact


@dataclass(frozen=True, slots=True)
class Moment:
    """When it happened: `now_ms` monotonic, `wall` RFC 3339 for people, `pulses` the meter's count, `entropy` a fresh random id."""

    now_ms: int
    wall: str
    pulses: int
    entropy: UUID

    def new_id(self, purpose: str) -> UUID:
        """An id that nothing else has; the same moment gives the same id for the same purpose."""
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
    """The reader sees a card: a new one, another one, or one again that it had lost."""

    card_uid: str


@dataclass(frozen=True, slots=True)
class CardLifted(Event):
    """The reader sees no card any more."""


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
    """The valve was closed behind the controller's back, because the process did not show a sign of life in time."""


@dataclass(frozen=True, slots=True)
class ShutdownRequested(Event):
    """The process is told to end."""


# ── a person at the node ───────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ServiceRunRequested(Event):
    """Somebody at the node wants beer to flow: to clean the line, to calibrate, to test."""

    cause: FlowCause
    max_volume_ml: int
    max_duration_ms: int


@dataclass(frozen=True, slots=True)
class ServiceRunHeld(Event):
    """Whoever started the run is still there and wants it."""


@dataclass(frozen=True, slots=True)
class ServiceRunStopped(Event):
    """Whoever started the run has enough, or is gone."""


# ── the journal ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RecoveredJournal:
    """What the journal held when it was opened. `interrupted`: a power cut ended a pour. Ids are those without a verdict.

    `closings`: how long the valve took to close the last times, in ms, the oldest first. `unreadable`: ids of reports without a
    verdict whose rows can't be read, as they stand there.
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
    """The grant is on disk: now everything is checked once more."""

    pour_id: UUID


@dataclass(frozen=True, slots=True)
class GrantAlreadyJournalled(Event):
    """The journal had the pour's id already, as a grant or as dead."""

    pour_id: UUID


@dataclass(frozen=True, slots=True)
class ServiceRunJournalled(Event):
    """The service run is on disk: now everything is checked once more."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class FactJournalled(Event):
    """A report is on disk and may leave."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class ReportFound(Event):
    """The report that the core asked for; `settled` when its verdict came before."""

    fact: Fact
    settled: bool


@dataclass(frozen=True, slots=True)
class ReportMissing(Event):
    """The journal can't tell what became of a pour: another one was asked, which had it, or its report is gone or can't be read."""

    pour_id: UUID
    asked_journal_id: UUID


@dataclass(frozen=True, slots=True)
class CheckpointJournalled(Event):
    """The odometer up to here survives a power cut."""

    odometer_ml: int


# ── the wire ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """The broker is there."""


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The broker is away."""


@dataclass(frozen=True, slots=True)
class CoreSeen(Event):
    """A core worker says that it is there."""

    core: CoreState


@dataclass(frozen=True, slots=True)
class CoreGone(Event):
    """A core worker is gone."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class ConfigReceived(Event):
    """How the tap is to work."""

    config: TapConfig


@dataclass(frozen=True, slots=True)
class ConfigUnreadable(Event):
    """A config has come that says nothing to us."""

    text: str


@dataclass(frozen=True, slots=True)
class GrantReceived(Event):
    """A question was answered with yes."""

    grant: PourAuthorized


@dataclass(frozen=True, slots=True)
class DenialReceived(Event):
    """A question was answered with no."""

    denial: PourDenied


@dataclass(frozen=True, slots=True)
class VerdictReceived(Event):
    """The core has settled a report."""

    verdict: PourSettled


@dataclass(frozen=True, slots=True)
class FlowVerdictReceived(Event):
    """The core has recorded an unattributed flow."""

    verdict: FlowRecorded


@dataclass(frozen=True, slots=True)
class StopReceived(Event):
    """A pour is to end now."""

    stop: StopPour


@dataclass(frozen=True, slots=True)
class ReportRequested(Event):
    """The core asks what became of a pour."""

    ask: ReportPour
