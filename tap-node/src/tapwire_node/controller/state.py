"""The controller's state. Frozen: each step makes a new one."""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from tapwire_contracts import speaks_our_contract
from tapwire_contracts.messages import MISSED_HEARTBEATS, CardPresented, PourAuthorized, TapConfig
from tapwire_contracts.reasons import ConfigStatus, EndReason, FlowCause, Locale, Phase
from tapwire_node.controller.closing_lead import ClosingPoint, FlowRate
from tapwire_node.controller.effects import Effects
from tapwire_node.controller.events import Part
from tapwire_node.controller.limits import Limits
from tapwire_node.controller.meter_check import PulseWindow
from tapwire_node.controller.odometer import Odometer

NO_JOURNAL: Final = UUID(int=0)
"""The `journal_id` of a node that has not opened its journal in this boot; no question is asked under it."""
NO_FLOW_RATE: Final = FlowRate.begin(0, 0)
RESTING_PHASES: Final = frozenset({Phase.IDLE, Phase.CARD_MUST_BE_REMOVED, Phase.OUT_OF_SERVICE, Phase.FAULT})


@dataclass(frozen=True, slots=True)
class Identity:
    """The node's identity, constant for one boot."""

    boot_id: UUID
    reader_id: str


@dataclass(frozen=True, slots=True)
class Card:
    """The card on the reader until it counts as removed; `presented` once a question with it was sent to the core."""

    card_uid: str
    read_at: str
    presented: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """The last question. `asked` and the times are set once its `seq` is on disk and it was sent."""

    event_id: UUID
    card_uid: str
    begun_ms: int
    asked: CardPresented | None = None
    asked_ms: int = 0
    sent_ms: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant that is being written to the journal; `stopped` when the core revoked it meanwhile."""

    message: PourAuthorized
    started_at: str
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class AwaitedVerdict:
    """The verdict on a report that was just sent: the next question waits for it, until `until_ms` at the latest."""

    pour_id: UUID
    until_ms: int


@dataclass(frozen=True, slots=True)
class Pour:
    """The pour that is running or being settled.

    `closing_point` and `end_reason` are set when the valve closes, `handed_ms` when its report is handed to the journal;
    `flowed_ms` is the last pulse, `progress_ms` the last `pour_progress`.
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
        """The id that the grant gave it."""
        return self.grant.pour_id


@dataclass(frozen=True, slots=True)
class ServiceRun:
    """A service run: being written to the journal until `opened_ms`, closing from `closing_point` on.

    `held_ms` is the last `ServiceRunHeld`, `flowed_ms` the last pulse.
    """

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
    """Flow through the closed valve that reached `leak_ml` and became a fact."""

    event_id: UUID
    odometer_from_ml: int
    started_ms: int
    flowed_ms: int
    card_uid: str | None


@dataclass(frozen=True, slots=True)
class ClosedValveFlow:
    """The flow through the closed valve since `from_ml`; `going_on` from the first alarm until it has stopped."""

    from_ml: int
    seen_ml: int
    since_ms: int
    going_on: bool = False
    leak: Leak | None = None


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A write that the journal has not answered yet; the answering event names `answer_id`."""

    answer_id: UUID
    handed_ms: int


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """The journal as far as the controller knows it.

    `checkpoint_*` describe the last checkpoint handed over; `pending_writes` are the oldest first; `stalled` is set while the
    oldest one takes longer than `journal_stall_ms`. `renewal_due`: the core has ordered a new journal, which is being written while
    `renewing`.
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
    renewal_due: bool = False
    renewing: bool = False


@dataclass(frozen=True, slots=True)
class CoreWorker:
    """A core worker that is online: `heard_ms` is its last `core_state`, `heartbeat_ms` None if it promises no further one."""

    instance_id: str
    contract_version: str
    heard_ms: int
    heartbeat_ms: int | None = None

    @property
    def silent_from_ms(self) -> int | None:
        """From when it counts as gone without a word; None for a worker that promises no heartbeats."""
        return None if self.heartbeat_ms is None else self.heard_ms + MISSED_HEARTBEATS * self.heartbeat_ms


@dataclass(frozen=True, slots=True)
class Peers:
    """The other ends: the broker connection, and the core workers online, by their ids.

    `absent_from_ms`: without a worker, cards are refused from then on. `heartbeat_ms` is the interval of the worker heard last, by
    which a new connection knows how long a worker may be quiet; 0 before one has said it.
    """

    connected: bool = False
    cores: tuple[CoreWorker, ...] = ()
    ever_seen: bool = False
    absent_from_ms: int = 0
    heartbeat_ms: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a decision may depend on.

    `closings`: the last closing times of the valve in ms, the oldest first.
    `reader_empty_ms`: since when the reader reports no card; None while it sees a card or has reported nothing yet.
    `asked_ids`: the questions of this boot, the oldest first. `other_node`: the last other boot that used this node's login.
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
    other_node: UUID | None = None

    @property
    def facts_open(self) -> int:
        """Number of facts without a verdict, running ones included (`facts_open` of `node_state`)."""
        return len(self.journal.unsettled) + len(self.journal.open_flows)

    @property
    def locale(self) -> Locale:
        """The tap's language; English before the first config."""
        return self.config.locale if self.config else Locale.EN

    @property
    def card_on_reader(self) -> str | None:
        """The card that the reader sees right now; None during the debounce time after it was lifted."""
        return self.card.card_uid if self.card and self.reader_empty_ms is None else None

    @property
    def is_metering_pour(self) -> bool:
        """True while flow belongs to a pour: from the opening of the valve to the end of the tail."""
        return self.pour is not None and self.pour.handed_ms is None

    @property
    def is_metering_run(self) -> bool:
        """True while flow belongs to a service run: from the opening of the valve to the end of the tail."""
        return self.service_run is not None and self.service_run.opened_ms is not None

    @property
    def is_at_rest(self) -> bool:
        """True while nothing flows and no question, pour or service run is in progress."""
        return self.phase in RESTING_PHASES and self.closed_valve_flow.leak is None and self.service_run is None


StepResult = tuple[State, Effects]
"""The new state, and the effects to carry out in this order."""


def initial_state(identity: Identity, limits: Limits, pulses_per_liter: int, pulses: int, now_ms: int) -> State:
    """The state of a node that has just started: out of service until its journal is open and it has a config."""
    return State(
        identity=identity,
        limits=limits,
        odometer=Odometer(ml=0, remainder=0, pulses=pulses, pulses_per_liter=pulses_per_liter),
        closed_valve_flow=ClosedValveFlow(from_ml=0, seen_ml=0, since_ms=now_ms),
        pulse_window=PulseWindow(since_ms=now_ms, since_pulses=pulses),
    )


def speaks_another_contract(state: State) -> bool:
    """True when a core worker that is online speaks a contract of another major version."""
    return any(not speaks_our_contract(core.contract_version) for core in state.peers.cores)


def out_of_service_reason(state: State) -> str | None:
    """Why the tap is out of service, as text for people; None when no reason is found. `faults` are judged elsewhere."""
    if not state.journal.writable:
        return "the journal can't be written"
    if state.journal.stalled:
        return "the journal is too slow"
    if not is_active(state):
        return f"the config says {state.config.status}" if state.config else "the core has sent no config yet"
    if speaks_another_contract(state):
        return "a core worker speaks another contract version"
    if state.service_run is not None:
        return "a service run is in progress"
    if state.stopping:
        return "the node is shutting down"
    return None


def is_active(state: State) -> bool:
    """True when the last config could be read and allows pours."""
    return state.config is not None and state.config.status == ConfigStatus.ACTIVE and not state.config_unreadable


def is_in_service(state: State) -> bool:
    """True when a card would be asked for."""
    return not state.faults and out_of_service_reason(state) is None


def resting_phase(state: State) -> Phase:
    """The phase of a tap that neither asks, pours nor settles.

    A broken reader only takes the tap out of service; a broken valve or meter can't be trusted with beer and is a fault.
    """
    if state.faults - {Part.READER}:
        return Phase.FAULT
    if state.faults or out_of_service_reason(state) is not None:
        return Phase.OUT_OF_SERVICE
    return Phase.CARD_MUST_BE_REMOVED if state.card_must_be_removed else Phase.IDLE
