"""Migrations: an older journal keeps its content; a newer one is refused and left as it is."""

import sqlite3
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tapwire_node.journal import JournalBroken
from tapwire_node.journal.damage import damaged_journals
from tapwire_node.journal.identity import place_of
from tapwire_node.journal.inspection import show
from tapwire_node.journal.journal_file import MAX_ALARMS
from tapwire_node.journal.schema import MIGRATIONS
from tests.unit.node.disk_journal import PATH, DiskJournal, the_report


def left_by(file: Path, version: int) -> tuple[UUID, UUID]:
    """A journal as a program of this version left it, with one pour that has no verdict; the journal's id and the pour's."""
    journal_id, pour_id = uuid4(), uuid4()
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT")
    for number, script in enumerate(MIGRATIONS[:version], start=1):
        db.executescript(script)
        db.execute("INSERT INTO migrations VALUES (?, '2026-01-01')", (number,))
    place = place_of(file, PATH)
    db.execute(
        "INSERT INTO journal (one, journal_id, device_path, file, file_device, file_inode, generation)"
        " VALUES (1, ?, ?, ?, ?, ?, 'g')",
        (str(journal_id), place.device_path, place.file, place.file_device, place.file_inode),
    )
    db.execute(
        "INSERT INTO facts (fact_id, kind, card_uid, ended, opened, end_reason, odometer_from_ml, odometer_to_ml, journal_id,"
        " boot_id, recorded_at) VALUES (?, 'pour', '04a1b2c3', 1, 1, 'limit', 0, 250, ?, ?, '2026-01-01')",
        (str(pour_id), str(journal_id), str(uuid4())),
    )
    db.commit()
    db.close()
    Path(f"{file}.lock").write_text("g")
    return journal_id, pour_id


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_an_older_journal_is_migrated_with_its_id_and_its_facts(disk_journal: DiskJournal, version: int) -> None:
    journal_id, pour_id = left_by(disk_journal.file, version)
    assert any("1, 0 with a verdict" in line for line in show(disk_journal.file)), "an older file can be read as it is"

    journal = disk_journal.boot()

    assert journal.journal_id == journal_id
    assert journal.recover().unsettled == (pour_id,)
    assert the_report(journal).volume_ml == 250
    journal.record_alarm("what is new is there")
    versions = [row["version"] for row in journal._db.execute("SELECT version FROM migrations ORDER BY version")]
    assert versions == list(range(1, len(MIGRATIONS) + 1))


def test_an_interrupted_migration_is_repeated(disk_journal: DiskJournal) -> None:
    left_by(disk_journal.file, len(MIGRATIONS) - 1)
    db = sqlite3.connect(disk_journal.file)
    db.executescript(f"BEGIN; {MIGRATIONS[-1]}")
    db.close()  # as a power cut before the commit
    disk_journal.boot().record_alarm("whole")


def test_a_newer_journal_is_refused_and_not_set_aside(disk_journal: DiskJournal) -> None:
    disk_journal.boot().close()
    db = sqlite3.connect(disk_journal.file)
    db.execute("INSERT INTO migrations VALUES (?, '')", (len(MIGRATIONS) + 1,))
    db.commit()
    db.close()
    with pytest.raises(JournalBroken, match="update tapwire-node"):
        disk_journal.boot()
    assert disk_journal.file.exists()
    assert damaged_journals(disk_journal.file) == []


def test_the_last_alarms_are_kept_and_shown(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    for number in range(MAX_ALARMS + 5):
        journal.record_alarm(f"alarm {number}")
    (kept,) = journal._db.execute("SELECT count(*) FROM alarms").fetchone()
    assert kept == MAX_ALARMS
    shown = [line.rsplit(" ", 2)[-1] for line in show(disk_journal.file) if line.startswith("alarm")]
    assert shown == [str(number) for number in range(MAX_ALARMS - 5, MAX_ALARMS + 5)]
