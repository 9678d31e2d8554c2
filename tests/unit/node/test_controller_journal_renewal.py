"""The core orders a new journal, as the node's card was set back or cloned."""

from uuid import UUID, uuid4

import pytest

from tapwire_contracts.messages import CardPresented, RenewJournal, UnattributedFlow
from tapwire_node.controller.effects import Publish, PublishState, RaiseAlarm, WriteFlow, WriteRenewal
from tapwire_node.controller.events import JournalFailed, JournalOpened, RenewalRequested
from tests.unit.node.controller_bench import CARD, ControllerBench
from tests.unit.node.disk_journal import DiskJournal, poured


@pytest.fixture
def tap() -> ControllerBench:
    return ControllerBench().in_service()


def renewals(tap: ControllerBench) -> list[UUID]:
    """The ids of the journals that the tap has begun."""
    return [effect.journal_id for effect in tap.effects if isinstance(effect, WriteRenewal)]


def order(tap: ControllerBench, journal_id: UUID) -> None:
    """The core orders a new journal."""
    tap.happen(RenewalRequested, renew=RenewJournal(journal_id=journal_id))


def test_a_tap_at_rest_begins_a_new_journal_at_once_and_says_so(tap: ControllerBench) -> None:
    tap.lay()
    tap.lift()
    tap.wait(7_000)

    order(tap, tap.journal_id)

    assert renewals(tap) == [tap.state.journal.journal_id]
    assert PublishState() in tap.effects
    tap.lay(CARD)
    asked = [effect.message for effect in tap.effects if isinstance(effect, Publish) and isinstance(effect.message, CardPresented)]
    assert (asked[-1].journal_id, asked[-1].seq) == (renewals(tap)[0], 1)


def test_an_order_for_another_journal_changes_nothing(tap: ControllerBench) -> None:
    order(tap, uuid4())

    assert renewals(tap) == []


def test_a_repeated_order_begins_one_journal(tap: ControllerBench) -> None:
    order(tap, tap.journal_id)
    order(tap, tap.journal_id)

    assert len(renewals(tap)) == 1


def test_a_running_pour_ends_before_the_new_journal_begins(tap: ControllerBench) -> None:
    tap.pour()
    tap.flow(100)
    order(tap, tap.journal_id)
    assert renewals(tap) == []

    tap.lift()
    tap.wait(8_000)

    assert len(renewals(tap)) == 1
    assert len(tap.state.journal.unsettled) == 1


def test_what_has_flowed_without_a_fact_is_reported_by_the_old_journal(tap: ControllerBench) -> None:
    tap.flow(3)
    order(tap, tap.journal_id)

    (leftover,) = [effect.report.message for effect in tap.effects if isinstance(effect, WriteFlow) and effect.ended]
    assert isinstance(leftover, UnattributedFlow)
    assert (leftover.volume_ml, leftover.journal_id) == (3, tap.journal_id)


def test_a_renewal_that_the_disk_refuses_is_tried_again(tap: ControllerBench) -> None:
    tap.journal_answers = False
    order(tap, tap.journal_id)
    tap.happen(JournalFailed, text="no room")
    tap.journal_answers = True

    tap.happen(JournalOpened, recovered=tap.recovered())

    assert len(renewals(tap)) == 2
    assert any(isinstance(effect, RaiseAlarm) for effect in tap.effects)


def test_a_renewed_journal_keeps_its_facts_under_the_old_id_and_counts_questions_anew(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    old_id, pour_id, new_id = journal.journal_id, poured(journal), uuid4()
    journal.next_seq(CARD)

    journal.renew(new_id)

    assert journal.next_seq(CARD) == 1
    again = disk_journal.restart()
    assert again.journal_id == new_id
    (fact,) = again.open_facts(10)
    assert (fact.fact_id, fact.message.journal_id) == (pour_id, old_id)
