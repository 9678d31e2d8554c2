"""Grants that open nothing: late, repeated, for another card, or overtaken by a change."""

import pytest

from tapwire_contracts.reasons import ConfigStatus, EndReason, Phase
from tapwire_node.controller.effects import (
    WriteRefusal,
)
from tapwire_node.controller.events import (
    CardLifted,
    GrantAlreadyJournalled,
    GrantJournalled,
    GrantReceived,
    HardwareFailed,
    JournalFailed,
    Part,
)
from tests.unit.node.controller_bench import OTHER_CARD, ControllerBench


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def test_a_late_grant_is_journalled_dead_and_reported_as_never_started(tap: ControllerBench) -> None:
    tap.lay()
    tap.wait(5_100)
    grant = tap.grant()

    assert tap.opened == 0
    assert (tap.reports[-1].pour_id, tap.reports[-1].volume_ml, tap.reports[-1].end_reason) == (
        grant.pour_id,
        0,
        EndReason.NEVER_STARTED,
    )


def test_a_grant_that_became_late_while_it_was_written_opens_nothing(tap: ControllerBench) -> None:
    tap.lay()
    tap.journal_answers = False
    grant = tap.grant()
    tap.now_ms += 5_001
    tap.happen(GrantJournalled, pour_id=grant.pour_id)

    assert tap.opened == 0
    assert [refusal.report.fact_id for refusal in tap.all(WriteRefusal)] == [grant.pour_id]


@pytest.mark.parametrize("doubt", ["lifted", "other card", "locked", "stopped", "journal broken", "fault", "other contract"])
def test_what_changes_while_the_grant_is_written_keeps_the_valve_closed(tap: ControllerBench, doubt: str) -> None:
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


def test_a_grant_for_another_boots_question_is_ignored(tap: ControllerBench) -> None:
    before = ControllerBench().in_service()
    before.lay()
    stranger = before.grant_for(before.question)
    tap.lay()
    tap.happen(GrantReceived, grant=stranger)

    assert (tap.opened, tap.reports) == (0, [])
    assert tap.is_in(Phase.AUTHORIZING)


def test_a_grant_for_another_card_is_refused(tap: ControllerBench) -> None:
    tap.lay()
    tap.grant(card_uid=OTHER_CARD)
    assert tap.opened == 0
    assert tap.reports[-1].end_reason is EndReason.NEVER_STARTED


def test_a_grant_for_the_question_before_the_last_opens_nothing(tap: ControllerBench) -> None:
    tap.lay()
    old = tap.grant_for(tap.question)
    tap.wait(5_100)
    tap.lift()
    tap.wait(900)
    tap.lay()
    tap.happen(GrantReceived, grant=old)

    assert tap.opened == 0
    assert tap.is_in(Phase.AUTHORIZING)


def test_a_repeated_grant_changes_nothing(tap: ControllerBench) -> None:
    grant = tap.pour()
    tap.flow(30)
    assert tap.happen(GrantReceived, grant=grant) == []
    assert (tap.opened, tap.phase) == (1, Phase.POURING)


def test_a_grant_whose_id_the_journal_has_is_a_repetition(tap: ControllerBench) -> None:
    tap.lay()
    tap.journal_answers = False
    grant = tap.grant()
    tap.happen(GrantAlreadyJournalled, pour_id=grant.pour_id)
    assert (tap.opened, tap.reports, tap.phase) == (0, [], Phase.AUTHORIZING)


def test_removing_the_card_abandons_the_question_and_frees_the_tap(tap: ControllerBench) -> None:
    tap.lay()
    tap.lift()
    tap.wait(840)
    assert tap.is_in(Phase.IDLE)


def test_another_card_abandons_the_question(tap: ControllerBench) -> None:
    tap.lay()
    tap.lay(OTHER_CARD)
    assert tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    assert len(tap.questions) == 1
