"""The journal: what survives a power cut, a full disk, a copy."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tapwire_contracts.messages import Display, PourAuthorized, PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import EndReason, FlowCause
from tapwire_node.controller.facts import Fact
from tapwire_node.controller.odometer import Odometer
from tapwire_node.journal import Journal, JournalBroken, JournalInUse
from tapwire_node.journal.reading import export, pending, show
from tapwire_node.journal.schema import MIGRATIONS
from tapwire_node.journal.store import Standing
from tests.unit.node.bench import CARD, CONFIG, OTHER_CARD

PATH = "bar/taps/left"


class Shelf:
    """One journal file, and the boots that open it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "journal.sqlite"
        self.opened: list[Journal] = []

    def boot(self, path: str = PATH, file: Path | None = None) -> Journal:
        """Open it as a new boot does."""
        journal = Journal.open(file or self.file, path, uuid4())
        self.opened.append(journal)
        return journal

    def cut_power(self) -> Journal:
        """Whatever runs is gone without a word; the next boot opens the file."""
        self.opened[-1]._lock.close()
        return self.boot()

    def restart(self) -> Journal:
        """The program ends cleanly and starts again."""
        self.opened[-1].close()
        return self.boot()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    for journal in shelf.opened:
        journal.close()


def odometer(ml: int, remainder: int = 0) -> Odometer:
    return Odometer(ml=ml, remainder=remainder, pulses=0, pulses_per_liter=450)


def grant(pour_id: UUID | None = None) -> PourAuthorized:
    return PourAuthorized(
        request_id=uuid4(),
        pour_id=pour_id or uuid4(),
        card_uid=CARD,
        max_volume_ml=500,
        max_duration_ms=300_000,
        idle_timeout_ms=15_000,
        display=Display(message=""),
    )


def report(journal: Journal, pour_id: UUID, from_ml: int, to_ml: int, reason: EndReason = EndReason.CARD_REMOVED) -> Fact:
    message = PourCompleted(
        pour_id=pour_id,
        card_uid=CARD,
        volume_ml=to_ml - from_ml,
        duration_ms=3_000,
        end_reason=reason,
        interrupted=False,
        started_at="2026-01-01T00:00:00.000+00:00",
        age_ms=None,
        odometer_from_ml=from_ml,
        odometer_to_ml=to_ml,
        journal_id=journal.journal_id,
        boot_id=journal._boot_id,
    )
    return Fact(message, ended_ms=77)


def never_started(journal: Journal, pour_id: UUID) -> Fact:
    return report(journal, pour_id, 0, 0, EndReason.NEVER_STARTED)


def flow(journal: Journal, from_ml: int, to_ml: int, event_id: UUID | None = None) -> Fact:
    message = UnattributedFlow(
        event_id=event_id or uuid4(),
        cause=FlowCause.CLOSED_VALVE,
        volume_ml=to_ml - from_ml,
        duration_ms=1_000,
        card_uid=None,
        age_ms=None,
        odometer_from_ml=from_ml,
        odometer_to_ml=to_ml,
        journal_id=journal.journal_id,
        boot_id=journal._boot_id,
    )
    return Fact(message, ended_ms=77)


def poured(journal: Journal, ml: int = 100) -> UUID:
    """A whole pour, reported and without a verdict."""
    authorized = grant()
    journal.record_grant(authorized, "", 0)
    journal.checkpoint(odometer(0), authorized.pour_id, 0, 0)
    journal.record_report(report(journal, authorized.pour_id, 0, ml), odometer(ml))
    return authorized.pour_id


def pour_until_full(journal: Journal, written: set[UUID]) -> None:
    for _ in range(1_000):
        written.add(poured(journal))


def the_report(journal: Journal) -> PourCompleted:
    (fact,) = journal.open_facts(10)
    assert isinstance(fact.message, PourCompleted)
    return fact.message


# ── after a power cut ───────────────────────────────────────────────────────


def test_a_number_that_was_given_is_never_given_again(shelf: Shelf) -> None:
    first = shelf.boot().next_question(CARD)
    second = shelf.cut_power().next_question(CARD)
    third = shelf.cut_power().next_question(CARD)
    assert (first, second, third) == (1, 2, 3)


def test_a_grant_whose_valve_never_opened_never_started(shelf: Shelf) -> None:
    authorized = grant()
    before = shelf.boot()
    before.record_grant(authorized, "", 40)

    journal = shelf.cut_power()
    recovered = journal.recover()

    told = the_report(journal)
    assert (told.pour_id, told.volume_ml, told.end_reason, told.interrupted) == (
        authorized.pour_id,
        0,
        EndReason.NEVER_STARTED,
        False,
    )
    assert recovered.unsettled == (authorized.pour_id,)
    assert not recovered.interrupted


def test_a_pour_that_was_cut_off_ends_at_its_last_checkpoint(shelf: Shelf) -> None:
    authorized = grant()
    before = shelf.boot()
    before.record_grant(authorized, "", 40)
    before.checkpoint(odometer(40), authorized.pour_id, 40, 0)
    before.checkpoint(odometer(140, remainder=200), authorized.pour_id, 40, 2_000)

    journal = shelf.cut_power()
    recovered = journal.recover()

    told = the_report(journal)
    assert (told.volume_ml, told.end_reason, told.interrupted) == (100, EndReason.POWER_LOSS, True)
    assert (told.odometer_from_ml, told.odometer_to_ml, told.duration_ms) == (40, 140, 2_000)
    assert (told.boot_id, told.journal_id) == (before._boot_id, before.journal_id)
    assert (recovered.odometer_ml, recovered.odometer_remainder, recovered.pulses_per_liter) == (140, 200, 450)
    assert recovered.interrupted


def test_the_age_of_a_pour_of_another_boot_is_not_known(shelf: Shelf) -> None:
    before = shelf.boot()
    poured(before)
    (fact,) = before.open_facts(10)
    assert fact.payload(1_077, before._boot_id).age_ms == 1_000

    journal = shelf.cut_power()
    (fact,) = journal.open_facts(10)
    assert fact.payload(1_077, journal._boot_id).age_ms is None


def test_a_report_that_was_written_stays_as_it_is(shelf: Shelf) -> None:
    before = shelf.boot()
    pour_id = poured(before, ml=250)
    journal = shelf.cut_power()
    journal.recover()
    told = the_report(journal)
    assert (told.pour_id, told.volume_ml, told.end_reason, told.interrupted) == (pour_id, 250, EndReason.CARD_REMOVED, False)


def test_a_leak_that_was_cut_off_ends_at_its_last_checkpoint(shelf: Shelf) -> None:
    before = shelf.boot()
    leak = flow(before, 0, 5)
    before.record_flow(leak, odometer(5), ended=False)
    before.checkpoint(odometer(25), leak.fact_id, 0, 500)

    journal = shelf.cut_power()
    recovered = journal.recover()

    (fact,) = journal.open_facts(10)
    assert (fact.fact_id, fact.message.volume_ml) == (leak.fact_id, 25)
    assert recovered.open_flows == {leak.fact_id}
    assert recovered.odometer_ml == 25


def test_recovering_again_in_the_same_boot_ends_nothing(shelf: Shelf) -> None:
    authorized = grant()
    journal = shelf.boot()
    journal.record_grant(authorized, "", 0)
    journal.checkpoint(odometer(10), authorized.pour_id, 0, 100)
    assert journal.recover().unsettled == (authorized.pour_id,)
    assert journal.open_facts(10) == []


def test_a_verdict_survives_and_its_fact_is_not_open_any_more(shelf: Shelf) -> None:
    journal = shelf.boot()
    pour_id = poured(journal)
    journal.record_verdict(pour_id, b'{"type":"pour_settled"}')
    after = shelf.cut_power()
    assert after.recover().unsettled == ()
    assert after.open_facts(10) == []
    assert after.find_report(after.journal_id, never_started(after, pour_id))[0] is Standing.SETTLED


def test_the_last_config_survives(shelf: Shelf) -> None:
    shelf.boot().record_config(CONFIG)
    assert shelf.cut_power().recover().config == CONFIG


# ── one key for grants and tombstones ───────────────────────────────────────


def test_a_grant_for_a_dead_pour_is_not_taken(shelf: Shelf) -> None:
    journal, authorized = shelf.boot(), grant()
    journal.record_tombstone(authorized.pour_id)
    assert journal.record_grant(authorized, "", 0) is False
    assert journal.open_facts(10) == []


def test_a_grant_is_taken_once(shelf: Shelf) -> None:
    journal, authorized = shelf.boot(), grant()
    assert journal.record_grant(authorized, "", 0) is True
    assert journal.record_grant(authorized, "", 0) is False


def test_a_tombstone_does_not_touch_a_pour_that_the_journal_has(shelf: Shelf) -> None:
    journal = shelf.boot()
    pour_id = poured(journal, ml=100)
    journal.record_tombstone(pour_id)
    assert journal.refuse(never_started(journal, pour_id)) is None
    assert the_report(journal).volume_ml == 100


def test_there_is_one_report_and_never_another(shelf: Shelf) -> None:
    journal = shelf.boot()
    pour_id = poured(journal, ml=100)
    again = journal.record_report(report(journal, pour_id, 0, 999), odometer(999))
    assert again.message.volume_ml == 100
    assert the_report(journal).volume_ml == 100


# ── what became of a pour ───────────────────────────────────────────────────


def test_a_pour_that_this_journal_never_had_is_dead_before_it_is_reported(shelf: Shelf) -> None:
    journal, authorized = shelf.boot(), grant()
    journal.next_question(OTHER_CARD)

    standing, fact = journal.find_report(journal.journal_id, never_started(journal, authorized.pour_id))

    assert standing is Standing.NOW_DEAD
    assert fact is not None
    assert isinstance(fact.message, PourCompleted)
    assert (fact.message.volume_ml, fact.message.end_reason) == (0, EndReason.NEVER_STARTED)
    assert fact.message.card_uid == OTHER_CARD, "the card of the question asked last"
    assert journal.record_grant(authorized, "", 0) is False


def test_a_pour_that_was_stopped_before_its_grant_came_is_reported_when_asked_for(shelf: Shelf) -> None:
    journal, pour_id = shelf.boot(), uuid4()
    journal.record_tombstone(pour_id)
    assert journal.find_report(journal.journal_id, never_started(journal, pour_id))[0] is Standing.NOW_DEAD


def test_a_pour_of_another_journal_is_elsewhere_and_not_marked_dead(shelf: Shelf) -> None:
    journal, authorized = shelf.boot(), grant()
    assert journal.find_report(uuid4(), never_started(journal, authorized.pour_id)) == (Standing.ELSEWHERE, None)
    assert journal.record_grant(authorized, "", 0) is True


def test_a_report_is_found_whichever_journal_was_asked_for(shelf: Shelf) -> None:
    journal = shelf.boot()
    pour_id = poured(journal)
    standing, fact = journal.find_report(uuid4(), never_started(journal, pour_id))
    assert (standing, fact and fact.message.volume_ml) == (Standing.OPEN, 100)


def test_an_opened_pour_without_a_report_is_running(shelf: Shelf) -> None:
    journal, authorized = shelf.boot(), grant()
    journal.record_grant(authorized, "", 0)
    journal.checkpoint(odometer(10), authorized.pour_id, 0, 100)
    assert journal.find_report(journal.journal_id, never_started(journal, authorized.pour_id)) == (Standing.RUNNING, None)


# ── a broken journal ────────────────────────────────────────────────────────


WRITES: dict[str, Callable[[Journal, UUID], object]] = {
    "question": lambda journal, _: journal.next_question(CARD),
    "grant": lambda journal, pour_id: journal.record_grant(grant(pour_id), "", 0),
    "tombstone": lambda journal, pour_id: journal.record_tombstone(pour_id),
    "refusal": lambda journal, pour_id: journal.refuse(never_started(journal, pour_id)),
    "report": lambda journal, pour_id: journal.record_report(report(journal, pour_id, 0, 10), odometer(10)),
    "flow": lambda journal, pour_id: journal.record_flow(flow(journal, 0, 10, pour_id), odometer(10), ended=True),
    "config": lambda journal, _: journal.record_config(CONFIG),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_fails_leaves_nothing_behind(shelf: Shelf, write: str) -> None:
    journal, pour_id = shelf.boot(), uuid4()
    journal._db.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalBroken):
        WRITES[write](journal, pour_id)
    journal._db.execute("PRAGMA query_only = OFF")

    assert journal.recover().unsettled == ()
    assert journal.next_question(CARD) == 1
    assert journal.record_grant(grant(pour_id), "", 0) is True


def test_a_full_disk_is_told_and_what_was_there_stays(shelf: Shelf) -> None:
    journal = shelf.boot()
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages + 2}")

    written: set[UUID] = set()
    with pytest.raises(JournalBroken, match="full"):
        pour_until_full(journal, written)

    after = shelf.cut_power()
    assert written
    assert written <= {fact.fact_id for fact in after.open_facts(1_000)}


def test_a_file_that_is_no_journal_is_told(shelf: Shelf) -> None:
    shelf.file.write_bytes(b"not a database" * 100)
    with pytest.raises(JournalBroken, match="not a database"):
        shelf.boot()


def test_a_journal_of_a_newer_program_is_told(shelf: Shelf) -> None:
    shelf.boot().close()
    with sqlite3.connect(shelf.file) as db:
        db.execute("INSERT INTO migrations VALUES (?, '')", (len(MIGRATIONS) + 1,))
    db.close()
    with pytest.raises(JournalBroken, match="update tapwire-node"):
        shelf.boot()


def test_two_processes_never_write_to_one_journal(shelf: Shelf) -> None:
    shelf.boot()
    with pytest.raises(JournalInUse, match="one tap node a journal"):
        shelf.boot()


# ── which journal it is ─────────────────────────────────────────────────────


def test_the_id_stays_over_restarts_and_power_cuts(shelf: Shelf) -> None:
    ids = {shelf.boot().journal_id, shelf.restart().journal_id, shelf.cut_power().journal_id, shelf.restart().journal_id}
    assert len(ids) == 1


def test_an_opening_that_was_cut_off_before_the_lock_file_was_written_keeps_the_id(shelf: Shelf) -> None:
    first = shelf.boot()
    witness = Path(f"{shelf.file}.lock").read_text()
    shelf.restart()
    Path(f"{shelf.file}.lock").write_text(witness)
    assert shelf.restart().journal_id == first.journal_id


def test_a_copied_journal_is_another_one_and_keeps_its_facts(shelf: Shelf, tmp_path: Path) -> None:
    original = shelf.boot()
    pour_id = poured(original)
    original.next_question(CARD)
    original.close()
    other = tmp_path / "other" / shelf.file.name
    other.parent.mkdir()
    for part in tmp_path.glob("journal.sqlite*"):
        shutil.copy(part, other.parent / part.name)

    copy = shelf.boot(file=other)

    assert copy.journal_id != original.journal_id
    assert copy.recover().unsettled == (pour_id,)
    assert copy.next_question(CARD) == 2
    assert the_report(copy).journal_id == original.journal_id, "a fact keeps the journal that it flowed in"


def test_a_moved_journal_is_another_one(shelf: Shelf, tmp_path: Path) -> None:
    original = shelf.boot()
    original.close()
    moved = tmp_path / "moved.sqlite"
    for part in tmp_path.glob("journal.sqlite*"):
        part.rename(moved.with_name(part.name.replace("journal", "moved")))
    assert shelf.boot(file=moved).journal_id != original.journal_id


def test_a_journal_for_another_tap_is_another_one(shelf: Shelf) -> None:
    original = shelf.boot()
    original.close()
    assert shelf.boot(path="bar/taps/right").journal_id != original.journal_id


def test_a_backup_put_back_in_place_is_another_one(shelf: Shelf) -> None:
    first = shelf.boot()
    first.close()
    backup = shelf.file.read_bytes()
    shelf.boot().close()
    shelf.boot().close()
    shelf.file.write_bytes(backup)
    assert shelf.boot().journal_id != first.journal_id


# ── how long, and who looks ─────────────────────────────────────────────────


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
