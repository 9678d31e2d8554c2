"""Service runs and closing measurements in the journal, and the migration of an older file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import FlowCause
from tapwire_node.controller.flow_facts import Closing, Fact
from tapwire_node.controller.odometer import Odometer
from tapwire_node.journal import Journal
from tapwire_node.journal.schema import MIGRATIONS

PATH = "bar/taps/left"
OPENED_AT_ML = 10


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(file: Path) -> Iterator[Journal]:
    opened = Journal.open(file, PATH, uuid4())
    yield opened
    opened.close()


def next_boot(journal: Journal, file: Path) -> Journal:
    journal.close()
    return Journal.open(file, PATH, uuid4())


def odometer(ml: int) -> Odometer:
    return Odometer(ml=ml, remainder=0, pulses=0, pulses_per_liter=1_000)


def run(journal: Journal, run_id: UUID, to_ml: int = OPENED_AT_ML, how_it_closed: Closing | None = None) -> Fact:
    message = UnattributedFlow(
        event_id=run_id,
        cause=FlowCause.CALIBRATION,
        volume_ml=to_ml - OPENED_AT_ML,
        duration_ms=0,
        card_uid=None,
        age_ms=None,
        odometer_from_ml=OPENED_AT_ML,
        odometer_to_ml=to_ml,
        journal_id=journal.journal_id,
        boot_id=uuid4(),
    )
    return Fact(message, ended_ms=5, closing=how_it_closed)


def test_a_run_whose_valve_never_opened_is_deleted(journal: Journal, file: Path) -> None:
    dropped, cut_off = uuid4(), uuid4()
    for run_id in (dropped, cut_off):
        journal.record_flow(run(journal, run_id), odometer(OPENED_AT_ML), ended=False)
    journal.drop_run(dropped)

    later = next_boot(journal, file)
    assert later.recover().open_flows == frozenset()
    assert later.open_facts(9) == []
    later.close()


def test_an_interrupted_run_ends_at_its_last_checkpoint_with_its_cause(journal: Journal, file: Path) -> None:
    run_id = uuid4()
    journal.record_flow(run(journal, run_id), odometer(OPENED_AT_ML), ended=False)
    journal.checkpoint(odometer(70), run_id, OPENED_AT_ML, 900)
    journal.drop_run(run_id)

    later = next_boot(journal, file)
    assert later.recover().open_flows == {run_id}
    (fact,) = later.open_facts(9)
    assert isinstance(fact.message, UnattributedFlow)
    assert (fact.message.cause, fact.message.volume_ml, fact.message.duration_ms) == (FlowCause.CALIBRATION, 60, 900)
    later.close()


def test_closing_measurements_are_kept_with_the_fact_and_known_after_a_restart(journal: Journal, file: Path) -> None:
    latencies = [80, None, 90, 100, 110, 120, 130]
    for number, latency_ms in enumerate(latencies):
        how = Closing(tail_ml=6, over_ml=None if number % 2 else -1, latency_ms=latency_ms)
        journal.record_flow(run(journal, uuid4(), to_ml=60, how_it_closed=how), odometer(60), ended=True)

    later = next_boot(journal, file)
    assert later.recover().closings == (90, 100, 110, 120, 130)
    first = later.open_facts(1)[0]
    assert first.closing == Closing(tail_ml=6, over_ml=-1, latency_ms=80)
    later.close()


def test_a_journal_without_closing_measurements_is_migrated(file: Path) -> None:
    with closing(sqlite3.connect(file)) as old:
        old.execute("CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT")
        old.executescript(f"{MIGRATIONS[0]}; INSERT INTO migrations VALUES (1, '2026-01-01')")
        old.execute(
            """
            INSERT INTO facts (kind, fact_id, cause, ended, odometer_from_ml, odometer_to_ml, journal_id, boot_id, recorded_at)
            VALUES ('flow', ?1, 'closed_valve', 1, 0, 9, ?1, ?1, '2026-01-01')
            """,
            (str(uuid4()),),
        )
        old.commit()
    journal = Journal.open(file, PATH, uuid4())
    assert journal.recover().closings == ()
    (fact,) = journal.open_facts(9)
    assert (fact.message.volume_ml, fact.closing) == (9, None)
    journal.close()
