"""What the controller knows. Frozen: a step makes a new one."""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from tapwire_contracts import speaks_our_contract
from tapwire_contracts.messages import CardPresented, PourAuthorized, TapConfig
from tapwire_contracts.reasons import ConfigStatus, EndReason, FlowCause, Locale, Phase
from tapwire_node.controller.closing_lead import ClosingPoint, FlowRate
from tapwire_node.controller.effects import Effects
from tapwire_node.controller.events import Part
from tapwire_node.controller.limits import Limits
from tapwire_node.controller.meter_check import PulseWindow
from tapwire_node.controller.odometer import Odometer

NO_JOURNAL: Final = UUID(int=0)
"""The `journal_id` of a node whose journal could not be opened yet in this boot; it asks no question under it."""
NO_FLOW_RATE: Final = FlowRate.begin(0, 0)
RESTING_PHASES: Final = frozenset({Phase.IDLE, Phase.CARD_MUST_BE_REMOVED, Phase.OUT_OF_SERVICE, Phase.FAULT})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, for the whole boot."""

    boot_id: UUID
    reader_id: str


@dataclass(frozen=True, slots=True)
class Card:
    """The card that was laid on and is not gone yet; `presented` once the core has heard of it."""

    card_uid: str
    read_at: str
    presented: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """The question asked last. `asked` and the times are set once its `seq` is on disk and it has left."""

    event_id: UUID
    card_uid: str
    begun_ms: int
    asked: CardPresented | None = None
    asked_ms: int = 0
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant on its way to disk; `stopped` when the core took it back meanwhile."""

    message: PourAuthorized
    started_at: str
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class AwaitedVerdict:
    """A report that has just gone out: the next question waits for its verdict, until `until_ms` at the latest."""

    pour_id: UUID
    until_ms: int


@dataclass(frozen=True, slots=True)
class Pour:
    """The pour that runs or is being settled.

    `closing_point` and `end_reason` are set when the valve closes, `handed_ms` when its report goes to the journal; `flowed_ms` is the
    last pulse, `progress_ms` the last `pour_progress`.
    """

    grant: PourAuthorized
    started_at: str
    started_ms: int
    odometer_from_ml: int
    flowed_ms: int
    progress_ms: int
    flow_rate: FlowRate
    stopped: bool = False
    end_reason: EndReason | None = None
    closing_point: ClosingPoint | None = None
    handed_ms: int | None = None

    @property
    def pour_id(self) -> UUID:
        """Its id, from the grant."""
        return self.grant.pour_id


@dataclass(frozen=True, slots=True)
class ServiceRun:
    """A service run: on its way to disk until `opened_ms`, ending from `closing_point` on. `held_ms`: when its person last was there."""

    run_id: UUID
    cause: FlowCause
    max_volume_ml: int
    max_duration_ms: int
    held_ms: int
    stopped: bool = False
    opened_ms: int | None = None
    odometer_from_ml: int = 0
    pulses_from: int = 0
    flowed_ms: int = 0
    flow_rate: FlowRate = NO_FLOW_RATE
    end_reason: EndReason | None = None
    closing_point: ClosingPoint | None = None


@dataclass(frozen=True, slots=True)
class Leak:
    """Flow through the closed valve that has become a fact."""

    event_id: UUID
    odometer_from_ml: int
    started_ms: int
    flowed_ms: int
    card_uid: str | None


@dataclass(frozen=True, slots=True)
class ClosedValveFlow:
    """What has gone through the closed valve since `from_ml`; `going_on` from the first alarm until nothing flows any more."""

    from_ml: int
    seen_ml: int
    since_ms: int
    going_on: bool = False
    leak: Leak | None = None


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A write that was handed over and will be answered, by an event that names `answer_id`."""

    answer_id: UUID
    handed_ms: int


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """What the journal has.

    `checkpoint_*` is the last one handed over; `pending_writes` are the writes on their way, the oldest first, and `stalled` is set
    while that one takes too long.
    """

    journal_id: UUID = NO_JOURNAL
    opened: bool = False
    writable: bool = False
    odometer_ml: int = 0
    unsettled: tuple[UUID, ...] = ()
    open_flows: frozenset[UUID] = frozenset()
    checkpoint_ms: int = 0
    checkpoint_ml: int = 0
    checkpoint_pulses: int = 0
    pending_writes: tuple[PendingWrite, ...] = ()
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class Peers:
    """Who is there: the broker, and core workers by instance with their contract version."""

    connected: bool = False
    cores: tuple[tuple[str, str], ...] = ()
    ever_seen: bool = False
    empty_since_ms: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a decision may depend on.

    `closings`: how long the valve took to close the last times, in ms, the oldest first.
    `reader_empty_ms`: since when the reader has said that nothing is on it; None while it sees a card or has not spoken yet.
    `asked_ids`: the questions of this boot, the oldest first.
    """

    identity: Identity
    limits: Limits
    odometer: Odometer
    closed_valve_flow: ClosedValveFlow
    pulse_window: PulseWindow
    phase: Phase = Phase.OUT_OF_SERVICE
    valve_open: bool = False
    card: Card | None = None
    reader_empty_ms: int | None = None
    card_must_be_removed: bool = False
    question: Question | None = None
    asked_ids: tuple[UUID, ...] = ()
    grant: Grant | None = None
    awaited: AwaitedVerdict | None = None
    pour: Pour | None = None
    service_run: ServiceRun | None = None
    closings: tuple[int, ...] = ()
    journal: JournalStatus = field(default_factory=JournalStatus)
    peers: Peers = field(default_factory=Peers)
    config: TapConfig | None = None
    config_unreadable: bool = False
    faults: frozenset[Part] = frozenset()
    watchdog_tripped: bool = False
    stopping: bool = False

    @property
    def facts_open(self) -> int:
        """Facts without a verdict, running ones included."""
        return len(self.journal.unsettled) + len(self.journal.open_flows)

    @property
    def locale(self) -> Locale:
        """The tap's language; English before the first config."""
        return self.config.locale if self.config else Locale.EN

    @property
    def card_on_reader(self) -> str | None:
        """The card that the reader sees at this moment; none while it may have been lifted."""
        return self.card.card_uid if self.card and self.reader_empty_ms is None else None

    @property
    def is_metering_pour(self) -> bool:
        """Whether what flows belongs to a pour: from its opening to the end of its tail."""
        return self.pour is not None and self.pour.handed_ms is None

    @property
    def is_metering_run(self) -> bool:
        """Whether what flows belongs to a service run: from its opening to the end of its tail."""
        return self.service_run is not None and self.service_run.opened_ms is not None

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing flows, is asked or is being ended."""
        return self.phase in RESTING_PHASES and self.closed_valve_flow.leak is None and self.service_run is None


StepResult = tuple[State, Effects]
"""The new state, and the effects to carry out in this order."""


def initial_state(identity: Identity, limits: Limits, pulses_per_liter: int, pulses: int, now_ms: int) -> State:
    """A node that has just started: out of service until its journal is open and it has a config."""
    return State(
        identity=identity,
        limits=limits,
        odometer=Odometer(ml=0, remainder=0, pulses=pulses, pulses_per_liter=pulses_per_liter),
        closed_valve_flow=ClosedValveFlow(from_ml=0, seen_ml=0, since_ms=now_ms),
        pulse_window=PulseWindow(since_ms=now_ms, since_pulses=pulses),
    )


def speaks_another_contract(state: State) -> bool:
    """Whether a core worker that is there speaks a contract of another major version."""
    return any(not speaks_our_contract(version) for _, version in state.peers.cores)


def out_of_service_reason(state: State) -> str | None:
    """What keeps the tap from asking, for the log; None when nothing does."""
    if not state.journal.writable:
        return "the journal can't be written"
    if state.journal.stalled:
        return "the journal takes too long"
    if not is_active(state):
        return f"the config says {state.config.status.value}" if state.config else "no config has come yet"
    if speaks_another_contract(state):
        return "a core worker speaks another contract version"
    if state.service_run is not None:
        return "a service run is not over"
    if state.stopping:
        return "the node is ending"
    return None


def is_active(state: State) -> bool:
    """Whether the last config is known and lets the tap pour."""
    return state.config is not None and state.config.status is ConfigStatus.ACTIVE and not state.config_unreadable


def is_in_service(state: State) -> bool:
    """Whether nothing but the guest is missing for a question."""
    return not state.faults and out_of_service_reason(state) is None


def resting_phase(state: State) -> Phase:
    """The phase of a tap that neither asks, pours nor settles.

    A reader that is away takes the tap out of service and comes back by itself; what can't be trusted with beer is a fault.
    """
    if state.faults - {Part.READER}:
        return Phase.FAULT
    if state.faults or out_of_service_reason(state) is not None:
        return Phase.OUT_OF_SERVICE
    return Phase.CARD_MUST_BE_REMOVED if state.card_must_be_removed else Phase.IDLE
