"""What the controller wants done, as data; `tapwire_node.runtime.effect_runner` does it, in the order given.

Writes to the journal answer by an event. Those that must not be lost (`journal.worker.KEPT`) are kept and tried again while the
journal is broken; the others fail with it.
"""

from dataclasses import dataclass
from uuid import UUID

from tapwire_contracts.messages import CardPresented, CardRemoved, PourAuthorized, PourProgress, PourUnknown, TapConfig
from tapwire_contracts.reasons import EndReason
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.controller.odometer import Odometer


@dataclass(frozen=True, slots=True)
class OpenValve:
    """Let it flow for a grant: the one effect that does."""

    pour_id: UUID


@dataclass(frozen=True, slots=True)
class OpenValveForService:
    """Let it flow without a grant, for a service run: the one exception."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class CloseValve:
    """Close it, before anything else that the same step wants; `pour_id` is None for a service run."""

    pour_id: UUID | None
    reason: EndReason


@dataclass(frozen=True, slots=True)
class WriteQuestion:
    """Take the next `seq` to disk; answered by `QuestionJournalled`."""

    event_id: UUID
    card_uid: str


@dataclass(frozen=True, slots=True)
class WriteGrant:
    """Take a grant to disk before the valve opens; answered by `GrantJournalled` or `GrantAlreadyJournalled`."""

    grant: PourAuthorized
    started_at: str
    odometer_ml: int


@dataclass(frozen=True, slots=True)
class WriteTombstone:
    """Mark an id as dead, unless the journal has it; nothing is reported."""

    pour_id: UUID


@dataclass(frozen=True, slots=True)
class WriteRefusal:
    """Mark a grant as dead and report it as never started, unless its report is written already."""

    report: Fact


@dataclass(frozen=True, slots=True)
class FindReport:
    """Look for a pour's report; answered by `FactJournalled` (now dead), `ReportFound` or `ReportMissing`.

    `report` is what is written where the journal never had the id; it lacks only the card, which the journal fills in from its
    last question.
    """

    asked_journal_id: UUID
    report: Fact


@dataclass(frozen=True, slots=True)
class WriteReport:
    """Write the one report of a pour; answered by `FactJournalled`."""

    report: Fact
    odometer: Odometer


@dataclass(frozen=True, slots=True)
class WriteFlow:
    """Write flow through a closed valve, as it begins (`ended` false) and when it is over; then answered by `FactJournalled`."""

    report: Fact
    ended: bool
    odometer: Odometer


@dataclass(frozen=True, slots=True)
class WriteServiceRun:
    """Take a service run to disk before the valve opens; answered by `ServiceRunJournalled`."""

    report: Fact
    odometer: Odometer


@dataclass(frozen=True, slots=True)
class DropServiceRun:
    """Take a service run that opened nothing off the disk again."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class WriteCheckpoint:
    """Write volume and odometer in one go; answered by `CheckpointJournalled`. `fact_id` is the running pour or leak."""

    odometer: Odometer
    fact_id: UUID | None
    odometer_from_ml: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class WriteVerdict:
    """Keep the core's verdict with its fact, which is not sent again."""

    fact_id: UUID
    verdict: bytes


@dataclass(frozen=True, slots=True)
class WriteConfig:
    """Keep the last config for the next boot."""

    config: TapConfig


@dataclass(frozen=True, slots=True)
class Publish:
    """Send now if connected, or drop it: whatever must arrive is a fact."""

    message: CardPresented | CardRemoved | PourProgress | PourUnknown


@dataclass(frozen=True, slots=True)
class PublishState:
    """Send `node_state` as it is now."""


@dataclass(frozen=True, slots=True)
class SendFact:
    """Send now, and again until its verdict has come; once only where `settled`."""

    fact: Fact
    settled: bool


@dataclass(frozen=True, slots=True)
class ResendFacts:
    """Send every open fact again, spread over some seconds."""


@dataclass(frozen=True, slots=True)
class ShowOnScreen:
    """Put a text on the tap's screen."""

    text: str


@dataclass(frozen=True, slots=True)
class WarnOperator:
    """Tell the staff, in both languages."""

    text: str


@dataclass(frozen=True, slots=True)
class RaiseAlarm:
    """Something that should not be is going on at this tap."""

    text: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the log."""

    text: str


@dataclass(frozen=True, slots=True)
class TellRunRefused:
    """Tell whoever asked for a service run why there is none."""

    text: str


@dataclass(frozen=True, slots=True)
class TellRunStarted:
    """Tell whoever asked that the valve is open."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class TellRunEnded:
    """Tell whoever asked what flowed; `pulses` are the meter's."""

    fact: Fact
    reason: EndReason
    pulses: int


JournalEffect = (
    WriteQuestion
    | WriteGrant
    | WriteTombstone
    | WriteRefusal
    | FindReport
    | WriteReport
    | WriteFlow
    | WriteServiceRun
    | DropServiceRun
    | WriteCheckpoint
    | WriteVerdict
    | WriteConfig
)
MqttEffect = Publish | PublishState | SendFact | ResendFacts
MessageEffect = ShowOnScreen | WarnOperator | RaiseAlarm | LogLine
ServiceRunEffect = TellRunRefused | TellRunStarted | TellRunEnded
Effect = OpenValve | OpenValveForService | CloseValve | JournalEffect | MqttEffect | MessageEffect | ServiceRunEffect
Effects = tuple[Effect, ...]
