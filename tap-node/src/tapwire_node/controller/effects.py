"""Effects, the outputs of the controller, as data; `runtime.effect_runner` carries them out in the order given.

The journal answers a write by an event. Writes that must not be lost (`journal.writer_thread.KEPT_WHILE_BROKEN`) are kept and tried
again while the journal is broken; the others fail with it.
"""

from dataclasses import dataclass
from uuid import UUID

from tapwire_contracts.messages import CardPresented, CardRemoved, PourAuthorized, PourProgress, PourUnknown, TapConfig
from tapwire_contracts.reasons import EndReason
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.controller.odometer import Odometer


@dataclass(frozen=True, slots=True)
class OpenValve:
    """Open the valve for a grant: the only effect that does so for a guest."""

    pour_id: UUID


@dataclass(frozen=True, slots=True)
class OpenValveForService:
    """Open the valve for a service run, the only flow without a grant."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class CloseValve:
    """Close the valve, before every other effect of the step; `pour_id` is None for a service run."""

    pour_id: UUID | None
    reason: EndReason


@dataclass(frozen=True, slots=True)
class WriteQuestion:
    """Write the next `seq`; answered by `QuestionJournalled`."""

    event_id: UUID
    card_uid: str


@dataclass(frozen=True, slots=True)
class WriteGrant:
    """Write a grant before the valve opens; answered by `GrantJournalled` or `GrantAlreadyJournalled`."""

    grant: PourAuthorized
    started_at: str
    odometer_ml: int


@dataclass(frozen=True, slots=True)
class WriteTombstone:
    """Mark an id as dead, so that a late grant can't open the valve; an id that the journal has stays as it is."""

    pour_id: UUID


@dataclass(frozen=True, slots=True)
class WriteRefusal:
    """Mark a grant as dead and report it as never started, unless its report exists."""

    report: Fact


@dataclass(frozen=True, slots=True)
class FindReport:
    """Look for a pour's report; answered by `FactJournalled` (now dead), `ReportFound` or `ReportMissing`.

    `report` is written where the journal never had the id; it lacks only the card, which the journal fills in from its last
    question.
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
    """Write a flow without a grant, as it begins (`ended` false) and when it has ended; then answered by `FactJournalled`."""

    report: Fact
    ended: bool
    odometer: Odometer


@dataclass(frozen=True, slots=True)
class WriteServiceRun:
    """Write a service run before the valve opens; answered by `ServiceRunJournalled`."""

    report: Fact
    odometer: Odometer


@dataclass(frozen=True, slots=True)
class DropServiceRun:
    """Delete a service run for which the valve never opened."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class WriteCheckpoint:
    """Write the odometer and the running fact's volume together; answered by `CheckpointJournalled`.

    `fact_id` is the running pour, service run or leak; None when there is none.
    """

    odometer: Odometer
    fact_id: UUID | None
    odometer_from_ml: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class WriteVerdict:
    """Store the core's verdict with its fact, which is then no longer sent."""

    fact_id: UUID
    verdict: bytes


@dataclass(frozen=True, slots=True)
class WriteConfig:
    """Store the last config for the next boot."""

    config: TapConfig


@dataclass(frozen=True, slots=True)
class WriteRenewal:
    """Give the journal a new id, whose questions count from 1; answered by `JournalRenewed`."""

    journal_id: UUID


@dataclass(frozen=True, slots=True)
class Publish:
    """Send now if connected, or drop it: what must arrive is a fact."""

    message: CardPresented | CardRemoved | PourProgress | PourUnknown


@dataclass(frozen=True, slots=True)
class PublishState:
    """Publish the current `node_state`."""


@dataclass(frozen=True, slots=True)
class SendFact:
    """Send a fact now, and again until its verdict has come; only once where `settled`."""

    fact: Fact
    settled: bool


@dataclass(frozen=True, slots=True)
class ResendFacts:
    """Send every open fact again, spread over `resend_spread_ms`."""


@dataclass(frozen=True, slots=True)
class ShowOnScreen:
    """Show a text on the tap's screen."""

    text: str


@dataclass(frozen=True, slots=True)
class WarnOperator:
    """Notify the staff, in both languages."""

    text: str


@dataclass(frozen=True, slots=True)
class RaiseAlarm:
    """Raise an alarm for a technician: it goes to the log and into the journal."""

    text: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """Write a line to the log."""

    text: str


@dataclass(frozen=True, slots=True)
class TellRunRefused:
    """Tell the person who requested a service run why it is refused."""

    text: str


@dataclass(frozen=True, slots=True)
class TellRunStarted:
    """Tell the person who requested the run that the valve is open."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class TellRunEnded:
    """Tell the person who requested the run what flowed; `pulses` are the meter's."""

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
    | WriteRenewal
)
MqttEffect = Publish | PublishState | SendFact | ResendFacts
MessageEffect = ShowOnScreen | WarnOperator | RaiseAlarm | LogLine
ServiceRunEffect = TellRunRefused | TellRunStarted | TellRunEnded
Effect = OpenValve | OpenValveForService | CloseValve | JournalEffect | MqttEffect | MessageEffect | ServiceRunEffect
Effects = tuple[Effect, ...]
