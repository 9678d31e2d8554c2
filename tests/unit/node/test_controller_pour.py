"""One pour through the controller: question, grant, flow, close, report."""

from itertools import pairwise

import pytest

from tapwire_contracts.messages import CardRemoved, PourProgress
from tapwire_contracts.reasons import ConfigStatus, DenyReason, EndReason, Phase
from tapwire_node.controller.effects import (
    Alarm,
    CloseValve,
    OpenValve,
    Publish,
    Show,
    WarnOperator,
    WriteGrant,
    WriteRefusal,
    WriteReport,
)
from tapwire_node.controller.events import (
    CardLifted,
    ConfigUnreadable,
    CoreGone,
    Disconnected,
    GrantJournalled,
    GrantKnown,
    GrantReceived,
    HardwareFailed,
    JournalFailed,
    JournalOpened,
    Part,
    ShutdownAsked,
    ValveTripped,
)
from tests.unit.node.bench import CARD, OTHER_CARD, Bench


@pytest.fixture
def tap() -> Bench:
    return Bench().in_service()


def test_a_card_is_asked_for_granted_poured_and_reported(tap: Bench) -> None:
    grant = tap.pour()
    assert (tap.phase, tap.opened) == (Phase.POURING, 1)

    tap.wait(3_000, flow_ml_per_s=60)
    tap.lift()
    tap.wait(800)
    assert tap.is_in(Phase.SETTLING)
    tap.wait(600)
    tap.settle(grant.pour_id)
    tap.wait(20)

    report = tap.reports[-1]
    assert (report.pour_id, report.volume_ml, report.end_reason) == (grant.pour_id, 180, EndReason.CARD_REMOVED)
    assert (report.odometer_from_ml, report.odometer_to_ml) == (0, 180)
    assert tap.is_in(Phase.IDLE)
    assert tap.state.facts_open == 0


def test_the_grant_is_on_disk_before_the_valve_opens(tap: Bench) -> None:
    tap.lay()
    tap.journal_answers = False

    grant = tap.grant()
    assert tap.all(WriteGrant)
    assert tap.opened == 0
    tap.happen(GrantJournalled, pour_id=grant.pour_id)

    assert tap.opened == 1


def test_the_question_leaves_only_with_its_number_on_disk(tap: Bench) -> None:
    tap.journal_answers = False
    tap.lay()
    tap.wait(3_000)
    assert tap.questions == []


def test_the_question_is_repeated_unchanged_each_second_until_the_node_gives_up(tap: Bench) -> None:
    tap.lay()
    tap.wait(5_020)

    assert len(tap.questions) == 6
    assert all(question == tap.questions[0] for question in tap.questions)
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    tap.wait(10_000)
    assert len(tap.questions) == 6


def test_questions_are_numbered_and_name_the_pours_without_a_verdict(tap: Bench) -> None:
    first = tap.pour()
    tap.lift()
    tap.wait(5_000)
    tap.lay()

    assert (tap.question.seq, tap.question.unsettled) == (2, (first.pour_id,))


def test_the_next_question_waits_for_the_verdict_or_two_seconds(tap: Bench) -> None:
    tap.pour()
    tap.flow(100)
    tap.lift()
    tap.wait(800 + 600 + 20)
    reported_ms = tap.now_ms
    while tap.phase is Phase.SETTLING:
        tap.wait(20)
    assert 1_980 <= tap.now_ms - reported_ms <= 2_020


def test_a_denial_asks_for_the_card_to_be_taken_off(tap: Bench) -> None:
    tap.lay()
    tap.deny(DenyReason.NO_ACTIVE_VISIT)

    assert (tap.phase, tap.opened) == (Phase.CARD_MUST_BE_REMOVED, 0)
    assert tap.all(WarnOperator) == []
    tap.lift()
    tap.wait(820)
    assert tap.is_in(Phase.IDLE)


def test_a_denial_for_funds_warns_the_operator_in_russian_and_english(tap: Bench) -> None:
    tap.lay()
    tap.deny(DenyReason.INSUFFICIENT_FUNDS)

    (warning,) = tap.all(WarnOperator)
    assert "Insufficient funds: top up guest balance before pouring." in warning.text
    assert "Недостаточно средств" in warning.text


def test_nothing_is_asked_until_the_card_has_been_gone_for_the_debounce_time(tap: Bench) -> None:
    tap.lay()
    tap.deny(DenyReason.GUEST_BLOCKED)
    tap.lift()
    tap.wait(780)
    tap.lay()
    tap.lay(OTHER_CARD)
    tap.wait(2_000)
    assert len(tap.questions) == 1

    tap.lift()
    tap.wait(820)
    tap.lay()
    assert len({question.event_id for question in tap.questions}) == 2


def test_each_card_that_was_asked_for_is_reported_removed_once(tap: Bench) -> None:
    tap.lay()
    tap.deny(DenyReason.LOST_CARD)
    tap.lift()
    tap.wait(400)
    tap.lay()
    tap.wait(400)
    tap.lift()
    tap.wait(3_000)

    removed = [effect.message for effect in tap.all(Publish) if isinstance(effect.message, CardRemoved)]
    assert [message.card_uid for message in removed] == [CARD]


# ── what closes ─────────────────────────────────────────────────────────────


def test_the_valve_closes_at_the_cap_and_the_tail_belongs_to_the_pour(tap: Bench) -> None:
    tap.pour(max_volume_ml=200)
    tap.flow(150)
    assert tap.closed == 0
    effects = tap.flow(50)
    assert effects[0] == CloseValve(tap.state.pour.pour_id if tap.state.pour else None, EndReason.LIMIT)
    tap.flow(7)
    tap.wait(620)

    assert (tap.reports[-1].volume_ml, tap.reports[-1].end_reason) == (207, EndReason.LIMIT)


def test_the_tail_ends_after_three_seconds_and_what_flows_on_is_unattributed(tap: Bench) -> None:
    tap.pour(max_volume_ml=100)
    tap.flow(100)
    tap.wait(3_000, flow_ml_per_s=50)
    assert tap.reports[-1].volume_ml == 250
    tap.wait(1_000, flow_ml_per_s=50)

    assert tap.all(Alarm)
    assert tap.reports[-1].volume_ml == 250


def test_a_short_absence_of_the_card_does_not_end_the_pour(tap: Bench) -> None:
    tap.pour()
    tap.lift()
    tap.wait(780, flow_ml_per_s=50)
    tap.lay()
    tap.wait(2_000, flow_ml_per_s=50)
    assert tap.is_in(Phase.POURING)


def test_the_cap_counts_on_while_the_card_is_away(tap: Bench) -> None:
    tap.pour(max_volume_ml=100)
    tap.lift()
    tap.flow(100)
    assert tap.closed == 1


def test_another_card_closes_at_once(tap: Bench) -> None:
    tap.pour()
    effects = tap.lay(OTHER_CARD)
    assert isinstance(effects[0], CloseValve)
    assert effects[0].reason is EndReason.CARD_REMOVED


def test_no_flow_and_the_longest_duration_end_a_pour(tap: Bench) -> None:
    tap.pour(idle_timeout_ms=1_000)
    tap.wait(980)
    assert tap.closed == 0
    tap.wait(20)
    assert tap.all(CloseValve)[-1].reason is EndReason.NO_FLOW

    slow = Bench().in_service()
    slow.pour(max_duration_ms=2_000)
    slow.wait(2_000, flow_ml_per_s=50)
    assert slow.all(CloseValve)[-1].reason is EndReason.MAX_DURATION


def test_stop_pour_closes_at_once(tap: Bench) -> None:
    grant = tap.pour()
    effects = tap.stop(grant.pour_id)
    assert effects[0] == CloseValve(grant.pour_id, EndReason.STOPPED)


@pytest.mark.parametrize("status", [ConfigStatus.LOCKED, ConfigStatus.CLEANING, ConfigStatus.EMERGENCY_STOP])
def test_a_config_that_is_not_active_closes_at_once_even_with_an_older_revision(tap: Bench, status: ConfigStatus) -> None:
    grant = tap.pour()
    effects = tap.config(status=status, revision=0)
    assert effects[0] == CloseValve(grant.pour_id, EndReason.DISABLED)


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (JournalFailed, {"text": "disk full"}),
        (HardwareFailed, {"part": Part.READER, "text": "gone"}),
        (ValveTripped, {}),
    ],
)
def test_a_fault_closes_at_once_and_the_pour_is_reported(tap: Bench, event: type, fields: dict[str, object]) -> None:
    grant = tap.pour()
    tap.flow(40)
    effects = tap.happen(event, **fields)
    assert effects[0] == CloseValve(grant.pour_id, EndReason.FAULT)
    tap.wait(620)
    assert (tap.reports[-1].volume_ml, tap.reports[-1].end_reason) == (40, EndReason.FAULT)


def test_a_config_that_cant_be_read_closes_and_puts_the_tap_out_of_service_until_one_can(tap: Bench) -> None:
    tap.pour()
    effects = tap.happen(ConfigUnreadable, text="status?")
    assert isinstance(effects[0], CloseValve)
    tap.lift()
    tap.wait(5_000)
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    tap.config()
    tap.wait(20)
    assert tap.is_in(Phase.IDLE)


def test_the_end_of_the_process_closes_and_still_reports(tap: Bench) -> None:
    tap.pour()
    tap.flow(40)
    effects = tap.happen(ShutdownAsked)
    assert isinstance(effects[0], CloseValve)
    tap.wait(620)
    assert tap.reports[-1].volume_ml == 40


def test_a_journal_that_takes_too_long_closes_the_valve(tap: Bench) -> None:
    tap.pour()
    tap.journal_answers = False
    tap.wait(2_500, flow_ml_per_s=50)
    assert tap.all(CloseValve)[-1].reason is EndReason.FAULT


def test_broker_and_core_may_be_away_while_a_pour_runs(tap: Bench) -> None:
    tap.pour()
    tap.happen(CoreGone, instance_id="core-1")
    tap.happen(Disconnected)
    tap.core("core-2", contract_version="2.0")
    tap.wait(5_000, flow_ml_per_s=50)
    assert (tap.phase, tap.closed) == (Phase.POURING, 0)


# ── what does not open ──────────────────────────────────────────────────────


def test_a_late_grant_is_journalled_dead_and_reported_as_never_started(tap: Bench) -> None:
    tap.lay()
    tap.wait(5_100)
    grant = tap.grant()

    assert tap.opened == 0
    assert (tap.reports[-1].pour_id, tap.reports[-1].volume_ml, tap.reports[-1].end_reason) == (
        grant.pour_id,
        0,
        EndReason.NEVER_STARTED,
    )


def test_a_grant_that_became_late_while_it_was_written_opens_nothing(tap: Bench) -> None:
    tap.lay()
    tap.journal_answers = False
    grant = tap.grant()
    tap.now_ms += 5_001
    tap.happen(GrantJournalled, pour_id=grant.pour_id)

    assert tap.opened == 0
    assert [refusal.report.fact_id for refusal in tap.all(WriteRefusal)] == [grant.pour_id]


@pytest.mark.parametrize("doubt", ["lifted", "other card", "locked", "stopped", "journal broken", "fault", "other contract"])
def test_what_changes_while_the_grant_is_written_keeps_the_valve_closed(tap: Bench, doubt: str) -> None:
    tap.lay()
    tap.journal_answers = False
    grant = tap.grant()
    match doubt:
        case "lifted":
            tap.happen(CardLifted)
        case "other card":
            tap.lay(OTHER_CARD)
        case "locked":
            tap.config(status=ConfigStatus.LOCKED, revision=2)
        case "stopped":
            tap.stop(grant.pour_id)
        case "journal broken":
            tap.happen(JournalFailed, text="disk full")
        case "fault":
            tap.happen(HardwareFailed, part=Part.VALVE, text="gone")
        case _:
            tap.core("core-2", contract_version="2.0")

    tap.happen(GrantJournalled, pour_id=grant.pour_id)

    assert tap.opened == 0
    assert [refusal.report.fact_id for refusal in tap.all(WriteRefusal)] == [grant.pour_id]
    assert not tap.is_in(Phase.POURING)


def test_a_grant_for_another_boots_question_is_ignored(tap: Bench) -> None:
    before = Bench().in_service()
    before.lay()
    stranger = before.grant_for(before.question)
    tap.lay()
    tap.happen(GrantReceived, grant=stranger)

    assert (tap.opened, tap.reports) == (0, [])
    assert tap.is_in(Phase.AUTHORIZING)


def test_a_grant_for_another_card_is_refused(tap: Bench) -> None:
    tap.lay()
    tap.grant(card_uid=OTHER_CARD)
    assert tap.opened == 0
    assert tap.reports[-1].end_reason is EndReason.NEVER_STARTED


def test_a_grant_for_the_question_before_the_last_opens_nothing(tap: Bench) -> None:
    tap.lay()
    old = tap.grant_for(tap.question)
    tap.wait(5_100)
    tap.lift()
    tap.wait(900)
    tap.lay()
    tap.happen(GrantReceived, grant=old)

    assert tap.opened == 0
    assert tap.is_in(Phase.AUTHORIZING)


def test_a_repeated_grant_changes_nothing(tap: Bench) -> None:
    grant = tap.pour()
    tap.flow(30)
    assert tap.happen(GrantReceived, grant=grant) == []
    assert (tap.opened, tap.phase) == (1, Phase.POURING)


def test_a_grant_whose_id_the_journal_has_is_a_repetition(tap: Bench) -> None:
    tap.lay()
    tap.journal_answers = False
    grant = tap.grant()
    tap.happen(GrantKnown, pour_id=grant.pour_id)
    assert (tap.opened, tap.reports, tap.phase) == (0, [], Phase.AUTHORIZING)


def test_a_card_that_is_taken_off_while_asking_gives_up_and_the_tap_is_free(tap: Bench) -> None:
    tap.lay()
    tap.lift()
    tap.wait(840)
    assert tap.is_in(Phase.IDLE)


def test_another_card_while_asking_gives_up(tap: Bench) -> None:
    tap.lay()
    tap.lay(OTHER_CARD)
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    assert len(tap.questions) == 1


# ── who is there ────────────────────────────────────────────────────────────


def test_without_a_broker_a_card_is_refused_at_once(tap: Bench) -> None:
    tap.happen(Disconnected)
    tap.lay()
    assert tap.questions == []
    assert tap.all(Show)[-1].text == "No connection. Please tell the staff."
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)


def test_with_no_core_worker_for_two_seconds_a_card_is_refused_at_once(tap: Bench) -> None:
    tap.happen(CoreGone, instance_id="core-1")
    tap.wait(1_980)
    tap.lay()
    assert tap.is_in(Phase.AUTHORIZING)

    late = Bench().in_service()
    late.happen(CoreGone, instance_id="core-1")
    late.wait(2_000)
    late.lay()
    assert late.questions == []


def test_with_no_core_worker_ever_seen_the_node_asks_all_the_same() -> None:
    tap = Bench().in_service(core=False)
    tap.wait(5_000)
    tap.lay()
    assert len(tap.questions) == 1


def test_a_core_worker_of_another_contract_keeps_the_tap_out_of_service(tap: Bench) -> None:
    tap.core("core-2", contract_version="2.0")
    assert tap.is_in(Phase.OUT_OF_SERVICE)
    tap.happen(CoreGone, instance_id="core-2")
    tap.wait(20)
    assert tap.is_in(Phase.IDLE)


def test_an_interrupted_pour_wants_the_card_gone_before_anything_is_asked() -> None:
    tap = Bench()
    tap.happen(JournalOpened, recovered=tap.recovered(interrupted=True))
    tap.config()
    tap.wait(2_000)
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    tap.lay()
    tap.wait(1_000)
    tap.lift()
    tap.wait(820)
    assert tap.is_in(Phase.IDLE)


def test_progress_is_told_at_most_five_times_a_second(tap: Bench) -> None:
    tap.pour()
    tap.wait(2_000, flow_ml_per_s=50)
    told = [effect.message for effect in tap.all(Publish) if isinstance(effect.message, PourProgress)]
    assert 8 <= len(told) <= 10
    assert all(later.elapsed_ms - earlier.elapsed_ms >= 200 for earlier, later in pairwise(told))


def test_the_report_is_written_once_and_never_another(tap: Bench) -> None:
    tap.pour()
    tap.flow(100)
    tap.lift()
    tap.wait(10_000)
    assert len(tap.all(WriteReport)) == 1
    assert len(tap.all(OpenValve)) == 1
