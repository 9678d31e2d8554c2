"""Configs, stop commands, requests for reports, verdicts, and a failing journal."""

from uuid import uuid4

import pytest

from tapwire_contracts.messages import PourUnknown
from tapwire_contracts.reasons import ConfigStatus, EndReason, Locale, Phase
from tapwire_node.controller.effects import (
    FindReport,
    Publish,
    PublishState,
    RaiseAlarm,
    ResendFacts,
    SendFact,
    ShowOnScreen,
    WriteConfig,
    WriteRefusal,
    WriteTombstone,
    WriteVerdict,
)
from tapwire_node.controller.events import (
    Connected,
    Disconnected,
    GrantReceived,
    JournalFailed,
    JournalOpened,
    ReportFound,
    ReportMissing,
)
from tapwire_node.controller.node_state import published_state
from tests.unit.node.controller_bench import CARD, PULSES_PER_LITER, ControllerBench


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def poured(tap: ControllerBench, ml: int = 100) -> ControllerBench:
    """A tap that has poured and reported, without a verdict."""
    tap.pour()
    tap.flow(ml)
    tap.lift()
    tap.wait(5_000)
    return tap


# ── config ──────────────────────────────────────────────────────────────────


def test_an_older_revision_is_ignored_while_it_is_active(tap: ControllerBench) -> None:
    tap.config(revision=5)
    tap.config(revision=4, pulses_per_liter=450)
    assert tap.state.config is not None
    assert (tap.state.config.revision, tap.state.odometer.pulses_per_liter) == (5, PULSES_PER_LITER)


def test_an_older_revision_that_stops_the_tap_is_applied_and_published(tap: ControllerBench) -> None:
    tap.config(revision=5)
    tap.config(revision=4, status=ConfigStatus.LOCKED)
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    assert published_state(tap.state).config_revision == 4

    tap.config(revision=5)
    assert tap.is_in(Phase.IDLE)


def test_the_same_config_again_is_not_written_again(tap: ControllerBench) -> None:
    tap.config(revision=5)
    written = len(tap.all(WriteConfig))
    assert tap.config(revision=5) == []
    assert len(tap.all(WriteConfig)) == written


def test_a_new_factor_waits_for_the_end_of_the_pour(tap: ControllerBench) -> None:
    tap.pour()
    tap.flow(100)
    tap.config(revision=2, pulses_per_liter=500)
    tap.flow(100)
    assert tap.is_in(Phase.POURING)
    tap.lift()
    tap.wait(5_000)
    assert tap.reports[-1].volume_ml == 200

    tap.flow(1)
    tap.wait(300)
    assert published_state(tap.state).odometer_ml == 202


def test_an_active_config_ends_no_pour(tap: ControllerBench) -> None:
    tap.pour()
    tap.config(revision=2, sell_price_per_liter_minor=900)
    tap.wait(500)
    assert tap.is_in(Phase.POURING)
    assert published_state(tap.state).config_revision == 2


def test_a_card_on_a_locked_tap_is_refused_and_must_be_removed_before_it_is_asked_for(tap: ControllerBench) -> None:
    tap.config(revision=2, status=ConfigStatus.LOCKED, locale=Locale.RU)
    tap.lay()
    assert tap.questions == []
    assert tap.all(ShowOnScreen)[-1].text == "Этот кран не работает. Пожалуйста, выберите другой."
    tap.config(revision=3)
    tap.wait(2_000)
    assert (tap.questions, tap.phase) == ([], Phase.CARD_MUST_BE_REMOVED)


def test_the_journals_config_is_there_before_the_first_message() -> None:
    tap, other = ControllerBench(), ControllerBench().in_service()
    tap.happen(JournalOpened, recovered=tap.recovered(config=other.state.config))
    assert tap.is_in(Phase.IDLE)


# ── stop ────────────────────────────────────────────────────────────────────


def test_stop_for_an_unknown_pour_is_journalled_and_not_reported(tap: ControllerBench) -> None:
    grant = poured(tap).grant_for(tap.question)
    tap.effects.clear()
    tap.stop(grant.pour_id)
    assert tap.all(WriteTombstone) == [WriteTombstone(grant.pour_id)]
    assert tap.reports == []


# ── report_pour ─────────────────────────────────────────────────────────────


def test_a_running_pour_that_is_asked_for_is_answered_with_the_state(tap: ControllerBench) -> None:
    grant = tap.pour()
    assert tap.ask_report(grant.pour_id) == [PublishState()]


def test_any_other_pour_is_looked_up_in_the_journal(tap: ControllerBench) -> None:
    poured(tap)
    (lookup,) = tap.ask_report(tap.reports[-1].pour_id)
    assert isinstance(lookup, FindReport)


def test_a_report_that_was_settled_long_ago_is_sent_again_once(tap: ControllerBench) -> None:
    poured(tap)
    report = tap.all(SendFact)[-1].fact
    tap.settle(report.fact_id)
    assert tap.happen(ReportFound, fact=report, settled=True) == [SendFact(report, settled=True)]


def test_a_pour_of_another_journal_is_unknown(tap: ControllerBench) -> None:
    other = ControllerBench()
    tap.happen(ReportMissing, pour_id=other.boot_id, asked_journal_id=other.journal_id)
    assert Publish(PourUnknown(pour_id=other.boot_id, journal_id=tap.journal_id)) in tap.effects
    assert "this is another one" in tap.all(RaiseAlarm)[0].text


def test_a_pour_whose_report_was_deleted_is_unknown_too(tap: ControllerBench) -> None:
    pour_id = uuid4()
    tap.happen(ReportMissing, pour_id=pour_id, asked_journal_id=tap.journal_id)
    assert Publish(PourUnknown(pour_id=pour_id, journal_id=tap.journal_id)) in tap.effects
    assert "granted here" in tap.all(RaiseAlarm)[0].text


# ── verdicts ────────────────────────────────────────────────────────────────


def test_a_verdict_closes_the_fact_and_is_kept(tap: ControllerBench) -> None:
    poured(tap)
    assert tap.state.facts_open == 1
    tap.settle(tap.reports[-1].pour_id)
    assert tap.state.facts_open == 0
    assert [effect.fact_id for effect in tap.all(WriteVerdict)] == [tap.reports[-1].pour_id]

    assert tap.settle(tap.reports[-1].pour_id) == []


def test_a_verdict_on_a_running_pour_is_ignored(tap: ControllerBench) -> None:
    grant = tap.pour()
    tap.settle(grant.pour_id)
    assert (tap.state.facts_open, tap.phase) == (1, Phase.POURING)


def test_a_verdict_on_a_running_leak_is_ignored(tap: ControllerBench) -> None:
    tap.flow(10)
    (event_id,) = tap.state.journal.open_flows
    tap.record_flow(event_id)
    assert tap.state.facts_open == 1
    tap.wait(2_500)
    tap.record_flow(event_id)
    assert tap.state.facts_open == 0


def test_open_facts_are_sent_again_at_each_connect_and_for_each_new_core_worker(tap: ControllerBench) -> None:
    tap.effects.clear()
    tap.happen(Disconnected)
    tap.happen(Connected)
    tap.core("core-1")
    tap.core("core-1")
    tap.core("core-2")
    assert len(tap.all(ResendFacts)) == 3


def test_with_too_many_pours_without_a_verdict_no_question_is_asked() -> None:
    tap = ControllerBench()
    ids = tuple(ControllerBench().boot_id for _ in range(201))
    tap.happen(JournalOpened, recovered=tap.recovered(unsettled=ids))
    tap.happen(Connected)
    tap.config()
    tap.lay()
    assert tap.questions == []


# ── a broken journal ────────────────────────────────────────────────────────


def test_a_broken_journal_puts_the_tap_out_of_service_until_it_can_be_written(tap: ControllerBench) -> None:
    tap.happen(JournalFailed, text="disk full")
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    assert tap.all(RaiseAlarm)
    tap.lay()
    assert tap.questions == []
    tap.lift()
    tap.happen(JournalOpened, recovered=tap.recovered())
    tap.wait(840)
    assert tap.is_in(Phase.IDLE)


def test_a_grant_on_its_way_to_a_breaking_journal_is_reported_dead(tap: ControllerBench) -> None:
    tap.lay()
    tap.journal_answers = False
    grant = tap.grant()
    tap.happen(JournalFailed, text="disk full")

    (refusal,) = tap.all(WriteRefusal)
    assert refusal.report.fact_id == grant.pour_id
    assert (tap.opened, tap.phase) == (0, Phase.OUT_OF_SERVICE)


def test_a_reopened_journal_keeps_the_odometer_that_ran_on(tap: ControllerBench) -> None:
    poured(tap)
    tap.happen(JournalFailed, text="disk full")
    tap.happen(JournalOpened, recovered=tap.recovered(odometer_ml=0))
    assert tap.state.odometer.ml == 100


def test_a_late_grant_of_a_poured_pour_changes_nothing_visible(tap: ControllerBench) -> None:
    grant = tap.pour()
    tap.flow(100)
    tap.lift()
    tap.wait(1_400)
    tap.settle(grant.pour_id)
    tap.wait(40)
    tap.journal_answers = False  # the journal answers nothing to a refusal of what it has
    before = published_state(tap.state)
    tap.happen(GrantReceived, grant=grant)
    tap.wait(100)
    assert published_state(tap.state) == before
    assert [report.end_reason for report in tap.reports] == [EndReason.CARD_REMOVED]
    tap.journal_answers = True
    tap.lay(CARD)
    assert tap.is_in(Phase.AUTHORIZING)
