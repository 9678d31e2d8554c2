"""The valve's safety rule under any order of events, checked against a model independent of the controller."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tapwire_contracts.messages import PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import DenyReason, FlowCause, Phase
from tapwire_node.controller.effects import WriteFlow, WriteGrant, WriteReport, WriteServiceRun
from tapwire_node.controller.events import (
    GrantReceived,
    ServiceRunStopped,
)
from tests.unit.node.controller_bench import CARD, OTHER_CARD
from tests.unit.node.random_disturbances import DISTURBANCES, Disturbances
from tests.unit.node.valve_safety_model import CAP_ML, IDLE_MS, LONGEST_MS, RUN_CAP_ML, RUN_LONGEST_MS, JudgedBench

CARDS = st.sampled_from([CARD, OTHER_CARD])


class ValveRule(Disturbances, RuleBasedStateMachine):
    """Anything may happen at any time."""

    @initialize()
    def start(self) -> None:
        self.tap = JudgedBench()
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
    @rule(doubt=st.sampled_from([None, *DISTURBANCES]))
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
    @rule(doubt=st.sampled_from([None, *DISTURBANCES]), ms=st.sampled_from([0, 20, 1_020]))
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

    @rule(doubt=st.sampled_from(DISTURBANCES))
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
