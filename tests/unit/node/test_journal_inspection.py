"""Retention of facts, and reading the journal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tapwire_node.clock import TIME_OF_DAY
from tapwire_node.journal import JournalBroken
from tapwire_node.journal.inspection import export, pending, show
from tapwire_node.journal.journal_file import ReportStatus
from tests.unit.node.disk_journal import DiskJournal, never_started, poured


@pytest.fixture
def nothing_is_kept_for_being_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapwire_node.journal.journal_file.ALWAYS_KEPT", 0)


@contextmanager
def clock_wrong_by(days: int) -> Iterator[None]:
    TIME_OF_DAY.wrong_by_s = days * 86_400
    try:
        yield
    finally:
        TIME_OF_DAY.wrong_by_s = 0


@pytest.mark.usefixtures("nothing_is_kept_for_being_new")
def test_facts_are_kept_for_the_retention_period_after_the_verdict_and_for_ever_without_one(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    settled, fresh, waiting = poured(journal), poured(journal), poured(journal)
    for pour_id in (settled, fresh):
        journal.record_verdict(pour_id, b"{}")
    for column in ("verdict_at", "recorded_at"):
        journal._db.execute(f"UPDATE facts SET {column} = '2020-01-01' WHERE {column} IS NOT NULL AND fact_id <> ?", (str(fresh),))

    journal.delete_older_than(days=30)

    assert journal.find_report(uuid4(), never_started(journal, settled)) == (ReportStatus.ELSEWHERE, None)
    assert journal.find_report(journal.journal_id, never_started(journal, settled)) == (ReportStatus.LOST, None), "never 0 ml"
    assert journal.record_refusal(never_started(journal, settled)) is None
    assert journal.find_report(uuid4(), never_started(journal, fresh))[0] is ReportStatus.SETTLED
    assert journal.find_report(uuid4(), never_started(journal, waiting))[0] is ReportStatus.OPEN
    assert journal.record_refusal(never_started(journal, waiting)) is None


@pytest.mark.parametrize("days", [-400, 400])
def test_a_wrong_clock_deletes_no_recent_fact(disk_journal: DiskJournal, days: int) -> None:
    journal = disk_journal.boot()
    with clock_wrong_by(min(days, 0)):
        pour_id = poured(journal, 330)
        journal.record_verdict(pour_id, b"{}")
    with clock_wrong_by(max(days, 0)):
        journal.delete_older_than(days=30)

    standing, fact = journal.find_report(journal.journal_id, never_started(journal, pour_id))
    assert (standing, fact and fact.message.volume_ml) == (ReportStatus.SETTLED, 330)


def test_the_journal_can_be_read_while_it_is_written(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    settled, waiting = poured(journal), poured(journal)
    journal.record_verdict(settled, b'{"outcome": "pending_updated_to_synced"}')

    assert "pour facts        2, 1 with a verdict" in list(show(disk_journal.file))
    (line,) = pending(disk_journal.file)
    assert str(waiting) in line
    exported = [json.loads(line) for line in export(disk_journal.file)]
    assert [fact["fact_id"] for fact in exported] == [str(settled), str(waiting)]
    assert exported[0]["verdict"] == {"outcome": "pending_updated_to_synced"}


def test_reading_a_missing_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalBroken, match="there is no journal"):
        list(show(tmp_path / "none.sqlite"))
