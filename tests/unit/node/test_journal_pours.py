"""Pours in the journal: one key for grants and tombstones, and one report."""

from uuid import uuid4

from tapwire_contracts.messages import PourCompleted
from tapwire_contracts.reasons import EndReason
from tapwire_node.journal.journal_file import ReportStatus
from tests.unit.node.controller_bench import OTHER_CARD
from tests.unit.node.disk_journal import DiskJournal, grant, never_started, odometer, poured, report, the_report


def test_a_grant_for_a_dead_pour_is_not_taken(disk_journal: DiskJournal) -> None:
    journal, authorized = disk_journal.boot(), grant()
    journal.record_tombstone(authorized.pour_id)
    assert journal.record_grant(authorized, "", 0) is False
    assert journal.open_facts(10) == []


def test_a_grant_is_taken_once(disk_journal: DiskJournal) -> None:
    journal, authorized = disk_journal.boot(), grant()
    assert journal.record_grant(authorized, "", 0) is True
    assert journal.record_grant(authorized, "", 0) is False


def test_a_tombstone_does_not_touch_a_pour_that_the_journal_has(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    pour_id = poured(journal, ml=100)
    journal.record_tombstone(pour_id)
    assert journal.record_refusal(never_started(journal, pour_id)) is None
    assert the_report(journal).volume_ml == 100


def test_a_pour_has_one_report_and_never_another(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    pour_id = poured(journal, ml=100)
    again = journal.record_report(report(journal, pour_id, 0, 999), odometer(999))
    assert again.message.volume_ml == 100
    assert the_report(journal).volume_ml == 100


# ── what became of a pour ───────────────────────────────────────────────────


def test_a_pour_that_this_journal_never_had_is_dead_before_it_is_reported(disk_journal: DiskJournal) -> None:
    journal, authorized = disk_journal.boot(), grant()
    journal.next_seq(OTHER_CARD)

    standing, fact = journal.find_report(journal.journal_id, never_started(journal, authorized.pour_id))

    assert standing is ReportStatus.NOW_DEAD
    assert fact is not None
    assert isinstance(fact.message, PourCompleted)
    assert (fact.message.volume_ml, fact.message.end_reason) == (0, EndReason.NEVER_STARTED)
    assert fact.message.card_uid == OTHER_CARD, "the card of the question asked last"
    assert journal.record_grant(authorized, "", 0) is False


def test_a_pour_that_was_stopped_before_its_grant_came_is_reported_when_asked_for(disk_journal: DiskJournal) -> None:
    journal, pour_id = disk_journal.boot(), uuid4()
    journal.record_tombstone(pour_id)
    assert journal.find_report(journal.journal_id, never_started(journal, pour_id))[0] is ReportStatus.NOW_DEAD


def test_a_pour_of_another_journal_is_elsewhere_and_not_marked_dead(disk_journal: DiskJournal) -> None:
    journal, authorized = disk_journal.boot(), grant()
    assert journal.find_report(uuid4(), never_started(journal, authorized.pour_id)) == (ReportStatus.ELSEWHERE, None)
    assert journal.record_grant(authorized, "", 0) is True


def test_a_report_is_found_whichever_journal_was_asked_for(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    pour_id = poured(journal)
    standing, fact = journal.find_report(uuid4(), never_started(journal, pour_id))
    assert (standing, fact and fact.message.volume_ml) == (ReportStatus.OPEN, 100)


def test_an_opened_pour_without_a_report_is_running(disk_journal: DiskJournal) -> None:
    journal, authorized = disk_journal.boot(), grant()
    journal.record_grant(authorized, "", 0)
    journal.checkpoint(odometer(10), authorized.pour_id, 0, 100)
    assert journal.find_report(journal.journal_id, never_started(journal, authorized.pour_id)) == (ReportStatus.RUNNING, None)
