"""The disk's reserve: no pour begins without it, and a running pour is written to its end."""

import sqlite3
from pathlib import Path
from uuid import uuid4

import pytest

from tapwire_node.journal import DiskReserve, JournalBroken
from tapwire_node.journal.connection import JournalFull
from tests.unit.node.controller_bench import CARD
from tests.unit.node.disk_journal import DiskJournal, grant, odometer, pour_until_full, report

SIZE_KIB = 64


def test_the_reserve_is_on_the_disk_and_is_released_once(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "journal.sqlite", SIZE_KIB)
    reserve.allocate()
    (held,) = tmp_path.iterdir()
    assert held.stat().st_size == SIZE_KIB * 1_024
    assert held.stat().st_blocks * 512 >= SIZE_KIB * 1_024, "the room is taken, not only promised"
    assert [reserve.release(), reserve.release()] == [True, False]
    assert list(tmp_path.iterdir()) == []


def test_without_room_for_the_reserve_no_question_is_asked_and_no_grant_taken(disk_journal: DiskJournal) -> None:
    disk_journal.reserve = DiskReserve(disk_journal.file, 2**40)
    journal = disk_journal.boot()
    with pytest.raises(JournalFull):
        journal.next_seq(CARD)
    with pytest.raises(JournalFull):
        journal.record_grant(grant(), "", 0)
    assert journal.recover().unsettled == ()
    assert not Path(f"{disk_journal.file}.reserve").exists()


def test_a_pour_that_has_begun_is_written_to_its_end_on_a_full_disk(disk_journal: DiskJournal) -> None:
    disk_journal.reserve = DiskReserve(disk_journal.file, SIZE_KIB)
    journal, authorized = disk_journal.boot(), grant()
    journal.record_grant(authorized, "", 0)
    journal.release_reserve()
    disk_journal.reserve = None
    journal.checkpoint(odometer(20), authorized.pour_id, 0, 200)
    journal.record_report(report(journal, authorized.pour_id, 0, 25), odometer(25))
    journal.record_verdict(authorized.pour_id, b"{}")
    assert journal.recover().unsettled == ()


def test_a_full_database_is_reported_as_full_and_not_as_broken(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(JournalFull, match="full"):
        pour_until_full(journal, set())


def test_an_error_of_the_disk_is_broken_and_not_full(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    journal._db.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalBroken) as told:
        journal.record_tombstone(uuid4())
    assert not isinstance(told.value, JournalFull)
    assert isinstance(told.value.__cause__, sqlite3.Error)
