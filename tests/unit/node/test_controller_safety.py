"""The valve rule, under any order of events, against a model that knows nothing of the controller's insides."""

from itertools import pairwise
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tapwire_contracts.messages import CardPresented, PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import ConfigStatus, DenyReason, FlowCause, Phase
from tapwire_node.controller.effects import WriteFlow, WriteGrant, WriteReport, WriteServiceRun
from tapwire_node.controller.events import (
    ConfigUnreadable,
    Connected,
    CoreGone,
    Disconnected,
    GrantReceived,
    HardwareFailed,
    HardwareRecovered,
    JournalFailed,
    JournalOpened,
    Part,
    ServiceRunHeld,
    ServiceRunStopped,
    ValveTripped,
)
from tests.unit.node.bench import CARD, OTHER_CARD
from tests.unit.node.valve_model import CAP_ML, IDLE_MS, LONGEST_MS, RACE_ML, RUN_CAP_ML, RUN_LONGEST_MS, TIMEOUT_MS, Watched

CARDS = st.sampled_from([CARD, OTHER_CARD])

DOUBTS = (
    "lay",
    "lay_another",
    "lift",
    "let_it_get_late",
    "break_valve",
    "break_reader",
    "mend_hardware",
    "trip",
    "slow_journal",
    "catch_up",
    "break_journal",
    "mend_journal",
    "grant_out_of_the_blue",
    "grant_again",
    "stop",
    "lock",
    "lock_with_an_old_config",
    "unlock",
    "unlock_with_an_old_config",
    "meet_a_core_of_another_contract",
    "lose_that_core",
    "lose_the_broker",
    "find_the_broker",
    "garble_the_config",
    "clean",
    "race_the_meter",
    "hold_the_run",
    "stop_the_run",
)


class ValveRule(RuleBasedStateMachine):
    """Anything may happen at any time."""

    @initialize()
    def start(self) -> None:
        self.tap = Watched()
        self.tap.in_service()
        self.revision = 1

    # ── what mostly happens ─────────────────────────────────────────────────

    @precondition(lambda self: self.tap.phase is not Phase.POURING)
    @rule(card=CARDS)
    def all_is_well_and_a_card_is_laid(self, card: str) -> None:
        """Everything works again, and the tap asks."""
        self.mend_journal()
        self.catch_up()
        self.mend_hardware()
        self.unlock()
        self.find_the_broker()
        self.tap.core("core-1")
        self.lift()
        self.tap.wait(8_000, tick_ms=200)
        self.tap.lay(card)
        assert self.tap.is_in(Phase.AUTHORIZING)

    @precondition(lambda self: self.tap.phase is Phase.AUTHORIZING and self.tap.questions)
    @rule(slowly=st.booleans())
    def grant_as_asked(self, slowly: bool) -> None:
        self.tap.journal_answers = not slowly
        self.grant(back=0, card=None)

    @precondition(lambda self: any(isinstance(effect, WriteGrant) for effect in self.tap.held))
    @rule(doubt=st.sampled_from([None, *DOUBTS]))
    def something_changes_while_the_grant_is_written(self, doubt: str | None) -> None:
        if doubt:
            getattr(self, doubt)()
        self.catch_up()

    @precondition(lambda self: self.tap.phase is Phase.POURING)
    @rule(ml=st.integers(1, 120), ms=st.sampled_from([20, 400, 2_000]))
    def beer_flows(self, ml: int, ms: int) -> None:
        self.flow(ml)
        self.wait(ms)

    @precondition(lambda self: self.tap.phase is not Phase.POURING)
    @rule(cause=st.sampled_from(FlowCause), slowly=st.booleans())
    def all_is_well_and_a_person_asks_for_a_run(self, cause: FlowCause, slowly: bool) -> None:
        """Everything works again, and the tap is being cleaned."""
        self.mend_journal()
        self.catch_up()
        self.mend_hardware()
        self.clean()
        self.lose_that_core()
        self.tap.happen(ServiceRunStopped)
        self.tap.wait(4_000, tick_ms=200)
        self.tap.journal_answers = not slowly
        self.ask_for_a_run(cause)
        assert slowly or cause is FlowCause.CLOSED_VALVE or self.tap.model.open_run is not None

    @precondition(lambda self: any(isinstance(effect, WriteServiceRun) for effect in self.tap.held))
    @rule(doubt=st.sampled_from([None, *DOUBTS]), ms=st.sampled_from([0, 20, 1_020]))
    def something_changes_while_the_run_is_written(self, doubt: str | None, ms: int) -> None:
        if doubt:
            getattr(self, doubt)()
        self.wait(ms)
        self.catch_up()

    @precondition(lambda self: self.tap.model.open_run is not None)
    @rule(ml=st.integers(0, 60), ms=st.sampled_from([20, 400, 980]))
    def beer_flows_in_a_run(self, ml: int, ms: int) -> None:
        self.hold_the_run()
        self.flow(ml)
        self.wait(ms)

    @rule(cause=st.sampled_from(FlowCause))
    def ask_for_a_run(self, cause: FlowCause) -> None:
        self.tap.ask_run(cause, RUN_CAP_ML, RUN_LONGEST_MS)

    @rule(doubt=st.sampled_from(DOUBTS))
    def anything(self, doubt: str) -> None:
        getattr(self, doubt)()

    @rule(ms=st.sampled_from([20, 400, 820, 2_000, 6_100]))
    def wait(self, ms: int) -> None:
        self.tap.wait(ms, tick_ms=20 if ms <= 820 else 100)

    @rule(ml=st.integers(1, 120))
    def flow(self, ml: int) -> None:
        self.tap.model.flowed_ms = self.tap.now_ms + 20
        self.tap.flow(ml)

    @precondition(lambda self: self.tap.questions)
    @rule(back=st.integers(0, 3), card=st.sampled_from([None, CARD, OTHER_CARD]))
    def grant(self, back: int, card: str | None) -> None:
        question = self.tap.questions[max(0, len(self.tap.questions) - 1 - back)]
        changes = {"card_uid": card} if card else {}
        limits = {"max_volume_ml": CAP_ML, "max_duration_ms": LONGEST_MS, "idle_timeout_ms": IDLE_MS}
        self.tap.happen(GrantReceived, grant=self.tap.grant_for(question, **limits, **changes))

    @precondition(lambda self: self.tap.questions)
    @rule(reason=st.sampled_from(DenyReason))
    def deny(self, reason: DenyReason) -> None:
        self.tap.deny(reason)

    @precondition(lambda self: self.tap.reports)
    @rule(which=st.integers(0, 20))
    def verdict(self, which: int) -> None:
        self.tap.settle(self.tap.reports[which % len(self.tap.reports)].pour_id)

    # ── what may go wrong, by name in DOUBTS ────────────────────────────────

    def lay(self) -> None:
        self.tap.lay(CARD)

    def lay_another(self) -> None:
        self.tap.lay(OTHER_CARD)

    def lift(self) -> None:
        self.tap.lift()

    def let_it_get_late(self) -> None:
        self.tap.now_ms += TIMEOUT_MS + 1
        if self.tap.state.valve_open:
            self.tap.wait(20)

    def break_valve(self) -> None:
        self.tap.happen(HardwareFailed, part=Part.VALVE, text="broken")

    def break_reader(self) -> None:
        self.tap.happen(HardwareFailed, part=Part.READER, text="broken")
        self.tap.model.empty_since_ms = None

    def mend_hardware(self) -> None:
        for part in Part:
            self.tap.happen(HardwareRecovered, part=part)
        self.tap.lay(self.tap.model.on_reader) if self.tap.model.on_reader else self.tap.lift()

    def trip(self) -> None:
        if self.tap.state.valve_open:
            self.tap.happen(ValveTripped)

    def slow_journal(self) -> None:
        self.tap.journal_answers = False

    def catch_up(self) -> None:
        self.tap.journal_answers = True
        held, self.tap.held = self.tap.held, []
        for effect in held:
            if self.tap.model.journal_works:
                self.tap.answer(effect)

    def break_journal(self) -> None:
        self.tap.happen(JournalFailed, text="disk full")
        self.tap.held = [effect for effect in self.tap.held if not isinstance(effect, WriteGrant | WriteServiceRun)]

    def mend_journal(self) -> None:
        self.tap.happen(JournalOpened, recovered=self.tap.recovered())

    def grant_out_of_the_blue(self) -> None:
        stranger = CardPresented(
            event_id=uuid4(),
            card_uid=CARD,
            reader_id="tap",
            read_at="",
            boot_id=uuid4(),
            journal_id=uuid4(),
            seq=1,
            unsettled=(),
        )
        self.tap.happen(GrantReceived, grant=self.tap.grant_for(stranger))

    def grant_again(self) -> None:
        for grant in list(self.tap.model.grants.values())[-2:]:
            if grant.pour_id not in self.tap.model.on_disk:
                self.tap.happen(GrantReceived, grant=grant)

    def stop(self) -> None:
        for pour_id in list(self.tap.model.grants)[-1:]:
            if pour_id not in self.tap.model.on_disk or pour_id == self.tap.model.open_pour:
                self.tap.model.stopped.add(pour_id)
            self.tap.stop(pour_id)

    def lock(self) -> None:
        self.configure(ConfigStatus.LOCKED, 1)

    def lock_with_an_old_config(self) -> None:
        self.configure(ConfigStatus.EMERGENCY_STOP, -1)

    def unlock(self) -> None:
        self.configure(ConfigStatus.ACTIVE, 1)

    def unlock_with_an_old_config(self) -> None:
        self.configure(ConfigStatus.ACTIVE, -1)

    def configure(self, status: ConfigStatus, revisions: int) -> None:
        revision = max(0, self.revision + revisions)
        self.tap.model.readable = True
        if status is not ConfigStatus.ACTIVE or revision >= self.revision:
            self.tap.model.status, self.revision = status, revision
        self.tap.config(status=status, revision=revision)

    def clean(self) -> None:
        self.configure(ConfigStatus.CLEANING, 1)

    def garble_the_config(self) -> None:
        self.tap.happen(ConfigUnreadable, text="status?")

    def race_the_meter(self) -> None:
        self.tap.model.raced_ms = self.tap.now_ms + 20
        self.tap.flow(RACE_ML)

    def hold_the_run(self) -> None:
        self.tap.happen(ServiceRunHeld)

    def stop_the_run(self) -> None:
        self.tap.happen(ServiceRunStopped)

    def meet_a_core_of_another_contract(self) -> None:
        self.tap.model.other_contract = True
        self.tap.core("core-2", contract_version="2.0")

    def lose_that_core(self) -> None:
        self.tap.model.other_contract = False
        self.tap.happen(CoreGone, instance_id="core-2")

    def lose_the_broker(self) -> None:
        self.tap.happen(Disconnected)

    def find_the_broker(self) -> None:
        self.tap.model.other_contract = False
        self.tap.happen(Connected)

    # ── what must hold ──────────────────────────────────────────────────────

    @invariant()
    def the_valve_is_open_only_for_a_pour_that_may_go_on_or_a_run_that_is_held(self) -> None:
        tap, model = self.tap, self.tap.model
        assert (tap.phase is Phase.POURING) == (model.open_pour is not None)
        assert tap.state.valve_open == (model.open_pour is not None or model.open_run is not None)
        if model.open_pour is not None:
            tap.judge_pouring(model.open_pour)
        if model.open_run is not None:
            tap.judge_running(model.open_run)

    @invariant()
    def no_millilitre_is_told_twice(self) -> None:
        stretches = sorted(self.stretches())
        for (_, end), (start, _) in pairwise(stretches):
            assert end <= start

    @invariant()
    def each_pour_is_reported_once(self) -> None:
        written = [effect.report.fact_id for effect in self.tap.all(WriteReport)]
        assert len(written) == len(set(written))
        assert set(written) <= set(self.tap.model.opened)

    def reported_runs(self) -> list[object]:
        ended = [effect.report.message for effect in self.tap.all(WriteFlow) if effect.ended]
        flows = [message for message in ended if isinstance(message, UnattributedFlow)]
        return [flow.event_id for flow in flows if flow.cause is not FlowCause.CLOSED_VALVE]

    def stretches(self) -> list[tuple[int, int]]:
        ended: list[PourCompleted | UnattributedFlow] = [effect.report.message for effect in self.tap.all(WriteReport)]
        ended += [effect.report.message for effect in self.tap.all(WriteFlow) if effect.ended]
        assert all(message.volume_ml == message.odometer_to_ml - message.odometer_from_ml for message in ended)
        return [(message.odometer_from_ml, message.odometer_to_ml) for message in ended if message.volume_ml]

    def teardown(self) -> None:
        """Left alone, the tap comes to rest, and every millilitre but a few drops is in a fact."""
        self.tap.lift()
        self.tap.wait(10_000, tick_ms=200)
        assert self.tap.phase not in (Phase.AUTHORIZING, Phase.POURING, Phase.SETTLING)
        told = sum(end - start for start, end in self.stretches())
        drops = 4 * (len(self.tap.model.opened) + len(self.tap.model.opened_runs) + 1)
        assert 0 <= self.tap.pulses - told <= drops
        assert {effect.report.fact_id for effect in self.tap.all(WriteReport)} == set(self.tap.model.opened)
        assert self.reported_runs() == self.tap.model.opened_runs, "each run is a fact, once"


TestValveRule = ValveRule.TestCase
TestValveRule.settings = settings(max_examples=160, stateful_step_count=35, deadline=None)
