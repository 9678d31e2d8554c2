"""A test bench for the controller: time, pulses, cards and messages are given by hand; the journal answers at once by default."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID, uuid4

from tapwire_contracts.messages import (
    CardPresented,
    CoreState,
    Display,
    FlowRecorded,
    PourAuthorized,
    PourCompleted,
    PourDenied,
    PourSettled,
    ReportPour,
    StopPour,
    TapConfig,
    UnattributedFlow,
)
from tapwire_contracts.reasons import ConfigStatus, DenyReason, FlowCause, Locale, Outcome, Phase, StopReason, VerdictStatus
from tapwire_node.controller import Identity, initial_state, step
from tapwire_node.controller.effects import (
    CloseValve,
    Effect,
    FindReport,
    OpenValve,
    Publish,
    SendFact,
    WriteCheckpoint,
    WriteFlow,
    WriteGrant,
    WriteQuestion,
    WriteRefusal,
    WriteRenewal,
    WriteReport,
    WriteServiceRun,
)
from tapwire_node.controller.events import (
    CardLifted,
    CardSeen,
    CheckpointJournalled,
    ConfigReceived,
    Connected,
    CoreSeen,
    DenialReceived,
    Event,
    FactJournalled,
    FlowVerdictReceived,
    GrantJournalled,
    GrantReceived,
    JournalOpened,
    JournalRenewed,
    Moment,
    QuestionJournalled,
    RecoveredJournal,
    ReportRequested,
    ServiceRunHeld,
    ServiceRunJournalled,
    ServiceRunRequested,
    StopReceived,
    Ticked,
    VerdictReceived,
)
from tapwire_node.controller.limits import Limits
from tapwire_node.controller.phase_diagram import is_in_diagram

CARD = "04a1b2c3"
OTHER_CARD = "04ffffff"
TICK_MS = 20
PULSES_PER_LITER = 1_000
"""One pulse a millilitre, so that tests read in millilitres."""
E = TypeVar("E")

CONFIG = TapConfig(
    status=ConfigStatus.ACTIVE,
    beverage=None,
    sell_price_per_liter_minor=700,
    currency="EUR",
    pulses_per_liter=PULSES_PER_LITER,
    max_pour_ml=1_000,
    locale=Locale.EN,
    revision=1,
)


class ControllerBench:
    """One controller and all its effects so far."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now_ms = 1_000_000
        self.pulses = 0
        self.limits = limits or Limits()
        self.boot_id, self.journal_id = uuid4(), uuid4()
        self.journal_answers = True
        self.seq = 0
        self.effects: list[Effect] = []
        self.phases: set[tuple[Phase, Phase, str]] = set()
        self.state = initial_state(Identity(self.boot_id, "tap"), self.limits, PULSES_PER_LITER, 0, self.now_ms)

    # ── events ────────────────────────────────────────────────────────

    def happen(self, event: Callable[..., Event], **fields: Any) -> list[Effect]:
        """Post an event now; returns its effects, without those of the journal's answers."""
        moment = Moment(self.now_ms, "2026-01-01T00:00:00.000+00:00", self.pulses, uuid4())
        happened, phase = event(at=moment, **fields), self.state.phase
        self.state, effects = step(self.state, happened)
        assert is_in_diagram(phase, type(happened), self.state.phase), "the diagram of the phases lacks this change"
        self.phases.add((phase, self.state.phase, type(happened).__name__))
        self.effects += effects
        if self.journal_answers:
            for effect in effects:
                self.answer(effect)
        return list(effects)

    def answer(self, effect: Effect) -> None:
        """Post the answer of a working journal to a write."""
        match effect:
            case WriteQuestion():
                self.seq += 1
                self.happen(QuestionJournalled, event_id=effect.event_id, seq=self.seq)
            case WriteGrant():
                self.happen(GrantJournalled, pour_id=effect.grant.pour_id)
            case WriteReport() | WriteRefusal() | WriteFlow(ended=True):
                self.happen(FactJournalled, fact=effect.report)
            case WriteServiceRun():
                self.happen(ServiceRunJournalled, run_id=effect.report.fact_id)
            case FindReport():
                self.happen(FactJournalled, fact=effect.report)
            case WriteRenewal():
                self.seq = 0
                self.happen(JournalRenewed, journal_id=effect.journal_id)
            case WriteCheckpoint():
                self.happen(CheckpointJournalled, odometer_ml=effect.odometer.ml)
            case _:
                pass

    def in_service(self, config: TapConfig = CONFIG, *, core: bool = True) -> "ControllerBench":
        """Journal open, connected, a config and (unless said) a core worker there, nothing on the reader."""
        self.happen(JournalOpened, recovered=self.recovered())
        self.happen(CardLifted)
        self.happen(Connected)
        if core:
            self.core("core-1")
        self.happen(ConfigReceived, config=config)
        self.wait(self.limits.card_debounce_ms + TICK_MS)
        assert self.state.phase is Phase.IDLE
        return self

    def recovered(self, **fields: Any) -> RecoveredJournal:
        """An empty journal's content, with the given changes."""
        empty = RecoveredJournal(
            journal_id=self.journal_id,
            odometer_ml=0,
            odometer_remainder=0,
            pulses_per_liter=None,
            config=None,
            unsettled=(),
            open_flows=frozenset(),
            interrupted=False,
        )
        return replace(empty, **fields)

    def core(self, instance_id: str, contract_version: str = "1.0", heartbeat_ms: int | None = None) -> None:
        """A core worker goes online, or beats."""
        core = CoreState(instance_id=instance_id, software="core", contract_version=contract_version, heartbeat_ms=heartbeat_ms)
        self.happen(CoreSeen, core=core)

    def config(self, **changes: Any) -> list[Effect]:
        """Receive the first config with changes."""
        fields = {name: getattr(CONFIG, name) for name in CONFIG.__struct_fields__}
        return self.happen(ConfigReceived, config=TapConfig(**{**fields, **changes}))

    def wait(self, ms: int, flow_ml_per_s: int = 0, tick_ms: int = TICK_MS) -> None:
        """Let time pass, tick by tick, with beer through the meter."""
        for elapsed in range(tick_ms, ms + 1, tick_ms):
            self.now_ms += tick_ms
            self.pulses += flow_ml_per_s * elapsed // 1_000 - flow_ml_per_s * (elapsed - tick_ms) // 1_000
            self.happen(Ticked)

    def flow(self, ml: int) -> list[Effect]:
        """Beer through the meter, all within one tick."""
        self.now_ms += TICK_MS
        self.pulses += ml
        return self.happen(Ticked)

    def lay(self, card: str = CARD) -> list[Effect]:
        """Put a card on the reader."""
        return self.happen(CardSeen, card_uid=card)

    def lift(self) -> list[Effect]:
        """Lift the card; it counts as removed after the debounce time."""
        return self.happen(CardLifted)

    # ── a person at the node ────────────────────────────────────────────────

    def ask_run(
        self, cause: FlowCause = FlowCause.CLEANING, max_volume_ml: int = 500, max_duration_ms: int = 60_000
    ) -> list[Effect]:
        """A person requests a service run."""
        caps = {"max_volume_ml": max_volume_ml, "max_duration_ms": max_duration_ms}
        return self.happen(ServiceRunRequested, cause=cause, **caps)

    def run(self, ms: int, flow_ml_per_s: int = 0) -> None:
        """Let time pass while the person holds the run."""
        for _ in range(0, ms, 200):
            self.happen(ServiceRunHeld)
            self.wait(200, flow_ml_per_s)

    # ── the core's messages ──────────────────────────────────────────────────

    def grant_for(self, question: CardPresented, **changes: Any) -> PourAuthorized:
        """A grant for the question, with changes."""
        fields: dict[str, Any] = {
            "request_id": question.event_id,
            "pour_id": uuid4(),
            "card_uid": question.card_uid,
            "max_volume_ml": 500,
            "max_duration_ms": 300_000,
            "idle_timeout_ms": 15_000,
            "display": Display(message="Enjoy!"),
        }
        return PourAuthorized(**{**fields, **changes})

    def grant(self, **changes: Any) -> PourAuthorized:
        """Grant the last question."""
        grant = self.grant_for(self.question, **changes)
        self.happen(GrantReceived, grant=grant)
        return grant

    def deny(self, reason: DenyReason) -> list[Effect]:
        """Deny the last question."""
        denial = PourDenied(request_id=self.question.event_id, reason=reason, message="No.", display=Display(message="No."))
        return self.happen(DenialReceived, denial=denial)

    def pour(self, **changes: Any) -> PourAuthorized:
        """Put the card on the reader and grant its question."""
        self.lay()
        return self.grant(**changes)

    def stop(self, pour_id: UUID) -> list[Effect]:
        """The core stops a pour."""
        return self.happen(StopReceived, stop=StopPour(pour_id=pour_id, reason=StopReason.OPERATOR))

    def ask_report(self, pour_id: UUID, journal_id: UUID | None = None) -> list[Effect]:
        """The core asks for a pour's report."""
        return self.happen(ReportRequested, ask=ReportPour(pour_id=pour_id, journal_id=journal_id or self.journal_id))

    def settle(self, pour_id: UUID) -> list[Effect]:
        """The core's verdict on a report."""
        verdict = PourSettled(
            pour_id=pour_id,
            status=VerdictStatus.ACCEPTED,
            outcome=Outcome.PENDING_UPDATED_TO_SYNCED,
            reason=None,
            volume_ml=0,
            amount_minor=0,
            balance_minor=0,
            currency="EUR",
        )
        return self.happen(VerdictReceived, verdict=verdict)

    def record_flow(self, event_id: UUID) -> list[Effect]:
        """The core's verdict on an unattributed flow."""
        return self.happen(FlowVerdictReceived, verdict=FlowRecorded(event_id=event_id))

    # ── effects and state ──────────────────────────────────────────

    def all(self, kind: type[E]) -> list[E]:
        """Every effect of a kind so far."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    @property
    def phase(self) -> Phase:
        """The phase now."""
        return self.state.phase

    def is_in(self, phase: Phase) -> bool:
        """True when the tap is in this phase."""
        return self.state.phase is phase

    @property
    def questions(self) -> list[CardPresented]:
        """All sent questions, repetitions included."""
        return [effect.message for effect in self.all(Publish) if isinstance(effect.message, CardPresented)]

    @property
    def question(self) -> CardPresented:
        """The last question."""
        return self.questions[-1]

    @property
    def reports(self) -> list[PourCompleted]:
        """All sent reports of pours."""
        return [effect.fact.message for effect in self.all(SendFact) if isinstance(effect.fact.message, PourCompleted)]

    @property
    def flows(self) -> list[UnattributedFlow]:
        """All sent unattributed flows."""
        return [effect.fact.message for effect in self.all(SendFact) if isinstance(effect.fact.message, UnattributedFlow)]

    @property
    def opened(self) -> int:
        """Number of openings for a grant."""
        return len(self.all(OpenValve))

    @property
    def closed(self) -> int:
        """Number of closings."""
        return len(self.all(CloseValve))
