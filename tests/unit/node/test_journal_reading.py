"""How long the journal keeps what, and how people read it."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tapwire_node.journal import JournalBroken
from tapwire_node.journal.reading import export, pending, show
from tapwire_node.journal.store import Standing
from tests.unit.node.shelf import Shelf, never_started, poured


def test_facts_are_kept_for_their_days_after_the_verdict_and_for_ever_without_one(shelf: Shelf) -> None:
    journal = shelf.boot()
    settled, fresh, waiting = poured(journal), poured(journal), poured(journal)
    for pour_id in (settled, fresh):
        journal.record_verdict(pour_id, b"{}")
    for column in ("verdict_at", "recorded_at"):
        journal._db.execute(f"UPDATE facts SET {column} = '2020-01-01' WHERE {column} IS NOT NULL AND fact_id <> ?", (str(fresh),))
    journal._db.execute("UPDATE pour_ids SET recorded_at = '2020-01-01'")

    journal.forget_older_than(days=30)

    assert journal.find_report(uuid4(), never_started(journal, settled)) == (Standing.ELSEWHERE, None)
    assert journal.find_report(uuid4(), never_started(journal, fresh))[0] is Standing.SETTLED
    assert journal.find_report(uuid4(), never_started(journal, waiting))[0] is Standing.OPEN
    assert journal.refuse(never_started(journal, waiting)) is None


def test_the_journal_can_be_read_while_it_is_written(shelf: Shelf) -> None:
    journal = shelf.boot()
    settled, waiting = poured(journal), poured(journal)
    journal.record_verdict(settled, b'{"outcome": "pending_updated_to_synced"}')

    assert "pour facts        2, 1 with a verdict" in list(show(shelf.file))
    (line,) = pending(shelf.file)
    assert str(waiting) in line
    exported = [json.loads(line) for line in export(shelf.file)]
    assert [fact["fact_id"] for fact in exported] == [str(settled), str(waiting)]
    assert exported[0]["verdict"] == {"outcome": "pending_updated_to_synced"}


def test_reading_a_journal_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalBroken, match="there is no journal"):
        list(show(tmp_path / "none.sqlite"))
