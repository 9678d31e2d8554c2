"""Damaged journals: they are set aside complete, read as far as possible, and not replaced automatically."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapwire_node.journal import Journal, JournalBroken
from tapwire_node.journal.damage import damaged_journals
from tapwire_node.journal.inspection import export, pending, show
from tests.unit.node.disk_journal import PAGE_BYTES, DiskJournal, poured


def filled(disk_journal: DiskJournal, pours: int = 300) -> Journal:
    """A journal with so many pours that a page in its middle holds nothing else."""
    journal = disk_journal.boot()
    for _ in range(pours):
        poured(journal)
    return journal


def page_of_facts(file: Path) -> int:
    """The offset of a page with pours in the middle of the file."""
    content = file.read_bytes()
    leaf, fact = b"\x0d", b"card_removed"
    starts = range(0, len(content), PAGE_BYTES)
    pages = [at for at in starts if content[at : at + 1] == leaf and fact in content[at : at + PAGE_BYTES]]
    return pages[len(pages) // 2]


def test_a_damaged_journal_is_set_aside_with_its_side_files_and_nothing_of_it_is_lost(disk_journal: DiskJournal) -> None:
    filled(disk_journal, 3)
    disk_journal.corrupt()
    Path(f"{disk_journal.file}-wal").write_bytes(b"what was not checkpointed yet")
    held = {path.name: path.read_bytes() for path in disk_journal.file.parent.glob("journal.sqlite*")}

    with pytest.raises(JournalBroken, match=r"is damaged .* move journal.sqlite.damaged-.* out of"):
        disk_journal.boot()

    (aside,) = damaged_journals(disk_journal.file)
    assert re.fullmatch(r"journal\.sqlite\.damaged-\d{8}T\d{6}Z", aside.name)
    now = {path.name.replace(aside.name, "journal.sqlite"): path.read_bytes() for path in disk_journal.file.parent.iterdir()}
    assert held.items() <= now.items()
    assert not disk_journal.file.exists()


def test_no_new_journal_starts_beside_a_damaged_one_and_moving_it_away_starts_one_with_another_id(
    disk_journal: DiskJournal, tmp_path: Path
) -> None:
    before = filled(disk_journal, 100)
    before.close()
    disk_journal.corrupt(page_of_facts(disk_journal.file))
    for _ in range(3):
        with pytest.raises(JournalBroken, match="is damaged"):
            disk_journal.boot()
    (aside,) = damaged_journals(disk_journal.file)

    elsewhere = tmp_path / "for-the-office"
    elsewhere.mkdir()
    for part in tmp_path.glob(f"{aside.name}*"):
        part.rename(elsewhere / part.name)

    after = disk_journal.boot()
    assert after.journal_id != before.journal_id
    assert after.recover().unsettled == ()


def test_a_second_damage_in_the_same_second_takes_no_name_twice(disk_journal: DiskJournal) -> None:
    for _ in range(3):
        disk_journal.file.write_bytes(b"not a database" * 1_000)
        before = len(damaged_journals(disk_journal.file))
        for aside in damaged_journals(disk_journal.file):
            aside.rename(aside.with_name("hidden-" + aside.name))
        with pytest.raises(JournalBroken):
            disk_journal.boot()
        for hidden in disk_journal.file.parent.glob("hidden-*"):
            hidden.rename(hidden.with_name(hidden.name.removeprefix("hidden-") + f"-{before}"))
    assert len(damaged_journals(disk_journal.file)) == 3


def test_a_damaged_journal_is_shown_as_far_as_it_can_be_read_and_as_incomplete(disk_journal: DiskJournal) -> None:
    journal = filled(disk_journal)
    written = [str(fact.fact_id) for fact in journal.open_facts(1_000)]
    journal.close()
    disk_journal.corrupt(page_of_facts(disk_journal.file))

    told: list[str] = []
    with pytest.raises(JournalBroken, match="that could be read"):
        told.extend(json.loads(line)["fact_id"] for line in export(disk_journal.file))

    assert told == [fact_id for fact_id in written if fact_id in told], "in their order, none twice"
    assert told[0] == written[0]
    assert told[-1] == written[-1]
    assert len(written) - 40 <= len(told) < len(written)
    assert any("damaged: " in line for line in show(disk_journal.file))


def test_a_journal_that_was_set_aside_is_the_one_that_is_read(disk_journal: DiskJournal) -> None:
    filled(disk_journal, 100).close()
    disk_journal.corrupt(page_of_facts(disk_journal.file))
    with pytest.raises(JournalBroken):
        disk_journal.boot()

    (aside,) = damaged_journals(disk_journal.file)
    lines = list(show(disk_journal.file))
    assert lines[0].startswith(f"damaged           {aside}")
    with pytest.raises(JournalBroken, match="that could be read"):
        list(pending(disk_journal.file))


@pytest.mark.parametrize("read", [pending, export])
def test_reading_facts_from_a_file_that_is_no_journal_says_so(
    disk_journal: DiskJournal, read: Callable[[Path], Iterator[str]]
) -> None:
    disk_journal.file.write_bytes(b"not a database" * 1_000)
    with pytest.raises(JournalBroken, match="not a database"):
        list(read(disk_journal.file))


def test_showing_a_file_that_is_no_journal_says_so(disk_journal: DiskJournal) -> None:
    disk_journal.file.write_bytes(b"not a database" * 1_000)
    assert any("damaged: file is not a database" in line for line in show(disk_journal.file))
