"""A journal of an older version is brought to this one's, with all that it holds; one of a newer version is left alone."""

import sqlite3
from pathlib import Path

import pytest

from tapwire_node.journal import JournalBroken
from tapwire_node.journal.damage import aside_of
from tapwire_node.journal.reading import show
from tapwire_node.journal.schema import MIGRATIONS
from tapwire_node.journal.store import MAX_ALARMS
from tests.unit.node.shelf import Shelf, poured


def age(file: Path, version: int) -> None:
    """Make the file one of an older version: what later ones added is gone."""
    db = sqlite3.connect(file)
    db.executescript("DROP TABLE alarms;" if version < 2 else "")
    db.execute("DELETE FROM migrations WHERE version > ?", (version,))
    db.commit()
    db.close()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_an_older_journal_is_brought_up_to_date_with_its_id_and_its_facts(shelf: Shelf, version: int) -> None:
    before = shelf.boot()
    pour_id = poured(before)
    before.close()
    age(shelf.file, version)
    assert any("1, 0 with a verdict" in line for line in show(shelf.file)), "an older file can be read as it is"

    after = shelf.boot()

    assert after.journal_id == before.journal_id
    assert after.recover().unsettled == (pour_id,)
    after.record_alarm("a new table is there")
    versions = [row["version"] for row in after._db.execute("SELECT version FROM migrations ORDER BY version")]
    assert versions == list(range(1, len(MIGRATIONS) + 1))


def test_an_update_that_was_cut_off_is_done_again(shelf: Shelf) -> None:
    shelf.boot().close()
    age(shelf.file, 1)
    db = sqlite3.connect(shelf.file)
    db.executescript("BEGIN; CREATE TABLE alarms (number INTEGER PRIMARY KEY) STRICT;")
    db.close()  # as a power cut before the commit
    shelf.boot().record_alarm("whole")


def test_a_newer_journal_is_refused_and_not_set_aside(shelf: Shelf) -> None:
    shelf.boot().close()
    db = sqlite3.connect(shelf.file)
    db.execute("INSERT INTO migrations VALUES (?, '')", (len(MIGRATIONS) + 1,))
    db.commit()
    db.close()
    with pytest.raises(JournalBroken, match="update tapwire-node"):
        shelf.boot()
    assert shelf.file.exists()
    assert aside_of(shelf.file) == []


def test_the_last_alarms_are_kept_and_shown(shelf: Shelf) -> None:
    journal = shelf.boot()
    for number in range(MAX_ALARMS + 5):
        journal.record_alarm(f"alarm {number}")
    (kept,) = journal._db.execute("SELECT count(*) FROM alarms").fetchone()
    assert kept == MAX_ALARMS
    shown = [line.rsplit(" ", 2)[-1] for line in show(shelf.file) if line.startswith("alarm")]
    assert shown == [str(number) for number in range(MAX_ALARMS - 5, MAX_ALARMS + 5)]
