"""A model of the truth outside the controller, and a bench that checks the valve against this model alone."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tapwire_contracts.messages import CardPresented, PourAuthorized
from tapwire_contracts.reasons import ConfigStatus
from tapwire_node.controller.effects import (
    CloseValve,
    Effect,
    OpenValve,
    OpenValveForService,
    Publish,
    SendFact,
    WriteFlow,
    WriteReport,
    WriteServiceRun,
)
from tapwire_node.controller.events import (
    CardLifted,
    CardSeen,
    ConfigUnreadable,
    GrantJournalled,
    GrantReceived,
    HardwareFailed,
    HardwareRecovered,
    JournalFailed,
    JournalOpened,
    Part,
    ServiceRunHeld,
    ServiceRunJournalled,
    ServiceRunStopped,
)
from tapwire_node.controller.limits import Limits
from tests.unit.node.controller_bench import ControllerBench

CAP_ML, LONGEST_MS, IDLE_MS = 300, 20_000, 6_000
RUN_CAP_ML, RUN_LONGEST_MS = 200, 8_000
DEBOUNCE_MS, TIMEOUT_MS = 800, 5_000
HOLD_MS, RECOVERY_MS = 1_000, 30_000
RACE_ML = 150_000
"""More than the bench's meter may give in one tick."""


KEPT = (WriteReport, WriteFlow, SendFact, Publish)
"""The effects that the rules look back on."""


@dataclass
class Run:
    """A service run that was accepted and handed to the journal."""

    run_id: UUID
    max_volume_ml: int
    max_duration_ms: int
    held_ms: int
    stopped: bool = False
    on_disk: bool = False
    opened_ms: int = 0
    from_pulses: int = 0


@dataclass
class ValveSafetyModel:
    """The truth outside the controller."""

    on_reader: str | None = None
    empty_since_ms: int | None = None
    last_card: str | None = None
    question: CardPresented | None = None
    asked_ms: int = 0
    status: ConfigStatus = ConfigStatus.ACTIVE
    readable: bool = True
    journal_works: bool = True
    broken: set[Part] = field(default_factory=set)
    last_excess_ms: int | None = None
    other_contract: bool = False
    on_disk: set[UUID] = field(default_factory=set)
    stopped: set[UUID] = field(default_factory=set)
    grants: dict[UUID, PourAuthorized] = field(default_factory=dict)
    opened: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    open_pour: UUID | None = None
    run: Run | None = None
    open_run: Run | None = None
    opened_runs: list[UUID] = field(default_factory=list)
    flowed_ms: int = 0

    def faults(self, now_ms: int) -> set[Part]:
        """The broken parts now; the meter recovers `RECOVERY_MS` after impossible pulses."""
        races = self.last_excess_ms is not None and now_ms - self.last_excess_ms < RECOVERY_MS
        return self.broken | ({Part.METER} if races else set())


class JudgedBench(ControllerBench):
    """A bench that checks every effect against the model."""

    def __init__(self) -> None:
        super().__init__(Limits(meter_max_ml_per_s=100_000, meter_recovery_ms=RECOVERY_MS))
        self.model = ValveSafetyModel()
        self.held: list[Effect] = []

    def happen(self, event: Any, **fields: Any) -> list[Effect]:
        self.note(event, fields)
        hold, self.journal_answers = not self.journal_answers, False
        effects = super().happen(event, **fields)
        self.journal_answers = not hold
        self.judge(event, effects)
        self.effects = [effect for effect in self.effects if isinstance(effect, KEPT)]
        for effect in effects:
            if hold:
                self.held.append(effect)
            elif self.model.journal_works:
                self.answer(effect)
        return effects

    def note(self, event: Any, fields: dict[str, Any]) -> None:
        model = self.model
        if event is CardSeen:
            model.on_reader, model.last_card, model.empty_since_ms = fields["card_uid"], fields["card_uid"], None
        elif event is CardLifted:
            model.on_reader = None
            model.empty_since_ms = self.now_ms if model.empty_since_ms is None else model.empty_since_ms
        elif event is GrantReceived:
            model.grants[fields["grant"].pour_id] = fields["grant"]
        elif event is GrantJournalled:
            model.on_disk.add(fields["pour_id"])
        elif event is JournalFailed:
            model.journal_works = False
        elif event is JournalOpened:
            model.journal_works = True
        elif event is HardwareFailed:
            model.broken.add(fields["part"])
        elif event is HardwareRecovered:
            model.broken.discard(fields["part"])
            model.last_excess_ms = None if fields["part"] is Part.METER else model.last_excess_ms
        elif event is ConfigUnreadable:
            model.readable = False
        elif model.run is not None:
            self.note_run(model.run, event, fields)

    def note_run(self, run: Run, event: Any, fields: dict[str, Any]) -> None:
        if event is ServiceRunHeld:
            run.held_ms = self.now_ms
        elif event is ServiceRunStopped:
            run.stopped = True
        elif event is ServiceRunJournalled and fields["run_id"] == run.run_id:
            run.on_disk = True

    def judge(self, event: Any, effects: list[Effect]) -> None:
        model = self.model
        for position, effect in enumerate(effects):
            match effect:
                case OpenValve():
                    self.judge_opening(event, effect.pour_id)
                case OpenValveForService():
                    self.judge_service(event, effect.run_id)
                case WriteServiceRun():
                    self.model.run = Run(effect.report.fact_id, RUN_CAP_ML, RUN_LONGEST_MS, held_ms=self.now_ms)
                case CloseValve():
                    assert position == 0, "closing comes before everything else"
                    model.open_pour = model.open_run = None
                case Publish(message=CardPresented() as asked) if asked != model.question:
                    model.question, model.asked_ms = asked, self.now_ms
                case _:
                    pass

    def judge_opening(self, event: Any, pour_id: UUID) -> None:
        model, grant = self.model, self.model.grants[pour_id]
        assert event is GrantJournalled, "only the journal's answer opens the valve"
        assert pour_id in model.on_disk
        assert pour_id not in model.opened, "a grant opens the valve once"
        assert model.open_pour is None
        assert model.question is not None
        assert grant.request_id == model.question.event_id, "it answers the last question"
        assert self.now_ms - model.asked_ms <= TIMEOUT_MS
        assert model.on_reader == grant.card_uid == model.question.card_uid
        assert model.status is ConfigStatus.ACTIVE
        assert model.readable
        assert model.journal_works
        assert not model.faults(self.now_ms)
        assert not model.other_contract
        assert pour_id not in model.stopped
        assert model.open_run is None
        model.opened[pour_id] = (self.now_ms, self.pulses)
        model.open_pour, model.flowed_ms = pour_id, self.now_ms

    def judge_service(self, event: Any, run_id: UUID) -> None:
        model, run = self.model, self.model.run
        assert event is ServiceRunJournalled, "only the journal's answer opens the valve"
        assert run is not None
        assert run.run_id == run_id
        assert run.on_disk
        assert run_id not in model.opened_runs, "a run opens the valve once"
        assert not run.stopped
        assert self.now_ms - run.held_ms < HOLD_MS
        assert model.open_pour is None
        assert model.open_run is None
        assert not model.other_contract
        run.opened_ms, run.from_pulses = self.now_ms, self.pulses
        model.opened_runs.append(run_id)
        model.open_run, model.flowed_ms = run, self.now_ms
        self.judge_running(run)

    def judge_running(self, run: Run) -> None:
        """Check the conditions of an open valve during a run."""
        model = self.model
        assert model.status is ConfigStatus.CLEANING
        assert model.readable
        assert model.journal_works
        assert model.faults(self.now_ms) <= {Part.READER}
        assert not run.stopped
        assert self.now_ms - run.held_ms < HOLD_MS
        assert self.pulses - run.from_pulses < run.max_volume_ml
        assert self.now_ms - run.opened_ms < run.max_duration_ms

    def judge_pouring(self, pour_id: UUID) -> None:
        """Check the conditions of an open valve during a pour."""
        model, grant = self.model, self.model.grants[pour_id]
        opened_ms, from_pulses = model.opened[pour_id]
        assert model.status is ConfigStatus.ACTIVE
        assert model.readable
        assert model.journal_works
        assert not model.faults(self.now_ms)
        assert pour_id not in model.stopped
        assert model.last_card == grant.card_uid
        assert model.empty_since_ms is None or self.now_ms - model.empty_since_ms < DEBOUNCE_MS
        assert self.pulses - from_pulses < CAP_ML
        assert self.now_ms - opened_ms < LONGEST_MS
        assert self.now_ms - model.flowed_ms < IDLE_MS
