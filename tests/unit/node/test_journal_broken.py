"""The journal on a disk that fails or is full, and a file that is damaged or of another version."""

import sqlite3
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from tapwire_node.journal import Journal, JournalBroken, JournalInUse
from tapwire_node.journal.journal_file import ReportStatus
from tapwire_node.journal.schema import MIGRATIONS
from tests.unit.node.controller_bench import CARD, CONFIG
from tests.unit.node.disk_journal import DiskJournal, flow, grant, never_started, odometer, pour_until_full, poured, report

WRITES: dict[str, Callable[[Journal, UUID], object]] = {
    "question": lambda journal, _: journal.next_seq(CARD),
    "grant": lambda journal, pour_id: journal.record_grant(grant(pour_id), "", 0),
    "tombstone": lambda journal, pour_id: journal.record_tombstone(pour_id),
    "refusal": lambda journal, pour_id: journal.record_refusal(never_started(journal, pour_id)),
    "report": lambda journal, pour_id: journal.record_report(report(journal, pour_id, 0, 10), odometer(10)),
    "flow": lambda journal, pour_id: journal.record_flow(flow(journal, 0, 10, pour_id), odometer(10), ended=True),
    "config": lambda journal, _: journal.record_config(CONFIG),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_fails_leaves_nothing_behind(disk_journal: DiskJournal, write: str) -> None:
    journal, pour_id = disk_journal.boot(), uuid4()
    journal._db.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalBroken):
        WRITES[write](journal, pour_id)
    journal._db.execute("PRAGMA query_only = OFF")

    assert journal.recover().unsettled == ()
    assert journal.next_seq(CARD) == 1
    assert journal.record_grant(grant(pour_id), "", 0) is True


def test_a_full_disk_is_reported_and_keeps_what_was_written(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages + 2}")

    written: set[UUID] = set()
    with pytest.raises(JournalBroken, match="full"):
        pour_until_full(journal, written)

    after = disk_journal.cut_power()
    assert written
    assert written <= {fact.fact_id for fact in after.open_facts(1_000)}


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE facts SET end_reason = 'keg_changed'",  # a newer program's word
        "UPDATE facts SET journal_id = replace(journal_id, '-', '+')",
        "UPDATE facts SET boot_id = CAST(x'b5' AS TEXT)",  # no UTF-8
        "UPDATE facts SET fact_id = 'q' || substr(fact_id, 2)",
    ],
)
def test_an_unreadable_row_is_reported_and_holds_no_other_back(disk_journal: DiskJournal, spoil: str) -> None:
    journal = disk_journal.boot()
    spoilt, sound = poured(journal), poured(journal)
    journal._db.execute(f"{spoil} WHERE fact_id = ?", (str(spoilt),))

    journal = disk_journal.restart()
    recovered = journal.recover()

    assert [fact.fact_id for fact in journal.open_facts(1)] == [sound]
    (unreadable,) = recovered.unreadable
    assert unreadable[1:] == str(spoilt)[1:]
    assert sound in recovered.unsettled


def test_a_pour_with_an_unreadable_row_has_no_verdict_and_is_lost_when_asked_for(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    pour_id = poured(journal)
    journal._db.execute("UPDATE facts SET end_reason = 'keg_changed'")
    assert journal.recover().unsettled == (pour_id,), "or the core would take it for one that never started"
    assert journal.find_report(journal.journal_id, never_started(journal, pour_id)) == (ReportStatus.LOST, None)


def test_a_journal_of_a_newer_program_is_refused_with_a_reason(disk_journal: DiskJournal) -> None:
    disk_journal.boot().close()
    with sqlite3.connect(disk_journal.file) as db:
        db.execute("INSERT INTO migrations VALUES (?, '')", (len(MIGRATIONS) + 1,))
    db.close()
    with pytest.raises(JournalBroken, match="update tapwire-node"):
        disk_journal.boot()


def test_two_processes_never_write_to_one_journal(disk_journal: DiskJournal) -> None:
    disk_journal.boot()
    with pytest.raises(JournalInUse, match="each tap node needs a journal of its own"):
        disk_journal.boot()
