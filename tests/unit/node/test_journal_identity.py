"""The identity of a journal that was copied, moved or restored."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tapwire_node.journal.identity import take_lock, write_generation
from tests.unit.node.controller_bench import CARD
from tests.unit.node.disk_journal import DiskJournal, poured, the_report


def test_the_id_survives_restarts_and_power_cuts(disk_journal: DiskJournal) -> None:
    ids = {
        disk_journal.boot().journal_id,
        disk_journal.restart().journal_id,
        disk_journal.cut_power().journal_id,
        disk_journal.restart().journal_id,
    }
    assert len(ids) == 1


def test_an_opening_interrupted_before_the_lock_file_was_written_keeps_the_id(disk_journal: DiskJournal) -> None:
    first = disk_journal.boot()
    witness = Path(f"{disk_journal.file}.lock").read_text()
    disk_journal.restart()
    Path(f"{disk_journal.file}.lock").write_text(witness)
    assert disk_journal.restart().journal_id == first.journal_id


@contextmanager
def disk_that_takes_nothing() -> Iterator[None]:
    """No file can be written to; to make one shorter is possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_lock_file_that_could_not_be_rewritten_keeps_its_old_content(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "journal.sqlite")
    write_generation(lock, "a" * 32)
    with disk_that_takes_nothing(), pytest.raises(OSError, match="too large"):
        write_generation(lock, "b" * 32)
    lock.close()
    assert Path(f"{tmp_path}/journal.sqlite.lock").read_text() == "a" * 32


def test_a_copied_journal_is_another_one_and_keeps_its_facts(disk_journal: DiskJournal, tmp_path: Path) -> None:
    original = disk_journal.boot()
    pour_id = poured(original)
    original.next_seq(CARD)
    original.close()
    other = tmp_path / "other" / disk_journal.file.name
    other.parent.mkdir()
    for part in tmp_path.glob("journal.sqlite*"):
        shutil.copy(part, other.parent / part.name)

    copy = disk_journal.boot(file=other)

    assert copy.journal_id != original.journal_id
    assert copy.recover().unsettled == (pour_id,)
    assert copy.next_seq(CARD) == 2
    assert the_report(copy).journal_id == original.journal_id, "a fact keeps the journal that it flowed in"


def test_a_moved_journal_is_another_one(disk_journal: DiskJournal, tmp_path: Path) -> None:
    original = disk_journal.boot()
    original.close()
    moved = tmp_path / "moved.sqlite"
    for part in tmp_path.glob("journal.sqlite*"):
        part.rename(moved.with_name(part.name.replace("journal", "moved")))
    assert disk_journal.boot(file=moved).journal_id != original.journal_id


def test_a_journal_for_another_tap_is_another_one(disk_journal: DiskJournal) -> None:
    original = disk_journal.boot()
    original.close()
    assert disk_journal.boot(path="bar/taps/right").journal_id != original.journal_id


def test_a_backup_put_back_in_place_is_another_one(disk_journal: DiskJournal) -> None:
    first = disk_journal.boot()
    first.close()
    backup = disk_journal.file.read_bytes()
    disk_journal.boot().close()
    disk_journal.boot().close()
    disk_journal.file.write_bytes(backup)
    assert disk_journal.boot().journal_id != first.journal_id
