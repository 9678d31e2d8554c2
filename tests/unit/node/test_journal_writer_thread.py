"""The journal's writer thread when the journal fails and recovers."""

import asyncio
import errno
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tapwire_contracts.messages import PourCompleted
from tapwire_contracts.reasons import EndReason
from tapwire_node.controller.effects import (
    WriteCheckpoint,
    WriteConfig,
    WriteGrant,
    WriteQuestion,
    WriteRefusal,
    WriteReport,
    WriteTombstone,
)
from tapwire_node.controller.events import (
    CheckpointJournalled,
    Event,
    EventFactory,
    FactJournalled,
    JournalFailed,
    JournalOpened,
    Moment,
    QuestionJournalled,
)
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.journal import DiskReserve, Journal, JournalBroken, JournalInUse, JournalWriter
from tapwire_node.journal.writer_thread import DAY_MS, JournalReplaced
from tests.unit.node.controller_bench import CARD, CONFIG
from tests.unit.node.disk_journal import grant, odometer, poured, report

NOW = Moment(0, "", 0, uuid4())
WAIT_S = 5.0


class FullDisk(DiskReserve):
    """A full disk with a reserve; `journal` writes to it."""

    journal: Journal
    is_full = False

    def allocate(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().allocate()

    def fill(self) -> list[EventFactory]:
        self.is_full = True
        self.journal._db.execute("PRAGMA max_page_count = 1")
        return []

    def release(self) -> bool:
        self.journal._db.execute("PRAGMA max_page_count = 1000000")
        return super().release()


class Desk:
    """A writer whose journal opens only while `disk_works`; `events` are its answers."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.boot_id = uuid4()
        self.disk_works = True
        self.disk: FullDisk | None = None
        self.events: list[Event] = []
        self.failures: list[BaseException] = []
        self.worker = self.hire()

    def hire(self, retry_ms: int = 20) -> JournalWriter:
        """A new writer, as a starting process has one."""
        self.worker = JournalWriter(self.open, self.post, self.failures.append, retry_ms=retry_ms, keep_days=30)
        return self.worker

    async def pour(self) -> Fact:
        """Begin a pour; returns its later report."""
        authorized = grant()
        self.worker.write(WriteGrant(authorized, "", 0))
        self.worker.write(WriteCheckpoint(odometer(0), authorized.pour_id, 0, 0))
        await self.hear(CheckpointJournalled)
        assert self.worker._journal is not None
        return report(self.worker._journal, authorized.pour_id, 0, 330)

    async def break_disk(self) -> None:
        """A write fails, and the file can't be opened again."""
        self.disk_works = False
        self.worker._submit(lambda: [self.worker._mark_broken(JournalBroken("disk I/O error"))])
        await self.hear(JournalFailed)

    def open(self) -> Journal:
        if not self.disk_works:
            raise JournalBroken("no space left on device")
        journal = Journal.open(self.file, "bar/taps/left", self.boot_id, self.disk)
        if self.disk is not None:
            self.disk.journal = journal
        return journal

    def post(self, answer: Callable[[Moment], Event]) -> None:
        self.events.append(answer(NOW))

    def count(self, kind: type[Event]) -> int:
        return len([event for event in self.events if isinstance(event, kind)])

    async def hear(self, kind: type[Event], count: int = 1) -> None:
        async with asyncio.timeout(WAIT_S):
            while len([event for event in self.events if isinstance(event, kind)]) < count:
                await asyncio.sleep(0.005)


def refusal() -> WriteRefusal:
    message = PourCompleted(
        pour_id=uuid4(),
        card_uid=CARD,
        volume_ml=0,
        duration_ms=0,
        end_reason=EndReason.NEVER_STARTED,
        interrupted=False,
        started_at=None,
        age_ms=None,
        odometer_from_ml=0,
        odometer_to_ml=0,
        journal_id=uuid4(),
        boot_id=uuid4(),
    )
    return WriteRefusal(Fact(message, ended_ms=0))


async def test_writes_that_must_not_be_lost_wait_in_order_while_a_question_fails(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "journal.sqlite")
    desk.disk_works = False
    await desk.worker.open()
    assert [type(event) for event in desk.events] == [JournalFailed]
    refusals = [refusal() for _ in range(3)]
    desk.worker.write(WriteConfig(CONFIG))
    for effect in refusals:
        desk.worker.write(effect)
    desk.worker.write(WriteQuestion(uuid4(), CARD))
    await desk.hear(JournalFailed, 2)

    desk.disk_works = True
    await desk.hear(FactJournalled, 3)

    assert [event.fact for event in desk.events if isinstance(event, FactJournalled)] == [effect.report for effect in refusals]
    assert sum(isinstance(event, JournalOpened) for event in desk.events) == 1
    assert not any(isinstance(event, QuestionJournalled) for event in desk.events)
    await desk.worker.close(1_000)
    again = Journal.open(desk.file, "bar/taps/left", uuid4())
    assert again.recover().config == CONFIG
    again.close()


async def test_writes_are_answered_in_order(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "journal.sqlite")
    await desk.worker.open()
    for _ in range(5):
        desk.worker.write(WriteQuestion(uuid4(), CARD))
    await desk.hear(QuestionJournalled, 5)
    assert [event.seq for event in desk.events if isinstance(event, QuestionJournalled)] == [1, 2, 3, 4, 5]
    await desk.worker.close(1_000)


async def test_a_journal_of_another_process_ends_the_node(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "journal.sqlite")
    other = desk.open()
    await desk.worker.open()
    with pytest.raises(JournalInUse):
        raise desk.failures[0]
    other.close()
    await desk.worker.close(1_000)


async def test_a_replaced_journal_gets_the_waiting_writes_and_then_the_node_ends(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "journal.sqlite")
    await desk.worker.open()
    await desk.break_disk()
    waiting = refusal()
    desk.worker.write(WriteCheckpoint(odometer(40_000), None, 0, 0))
    desk.worker.write(waiting)
    shutil.move(tmp_path, tmp_path.with_name("the-old-card"))
    desk.disk_works = True
    async with asyncio.timeout(WAIT_S):
        while not desk.failures:
            await asyncio.sleep(0.005)

    assert isinstance(desk.failures[0], JournalReplaced)
    assert desk.count(JournalOpened) == 1, "the controller never hears of a journal that is not its own"
    again = Journal.open(desk.file, "bar/taps/left", uuid4())
    assert [fact.fact_id for fact in again.open_facts(10)] == [waiting.report.fact_id]
    again.close()
    desk.worker.write(WriteCheckpoint(odometer(40_000), None, 0, 0))
    await desk.worker.close(1_000)
    again = Journal.open(desk.file, "bar/taps/left", uuid4())
    assert again.recover().odometer_ml == 0, "its odometer is its own"
    again.close()


# ── the end ─────────────────────────────────────────────────────────────────


async def test_waiting_writes_are_written_at_shutdown_with_the_odometer(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "journal.sqlite")
    desk.hire(retry_ms=60_000)
    await desk.worker.open()
    told = await desk.pour()
    await desk.break_disk()
    desk.worker.write(WriteReport(told, odometer(330)))
    desk.worker.write(WriteCheckpoint(odometer(334), None, 0, 0))

    desk.disk_works = True
    await desk.worker.close(1_000)

    again = Journal.open(desk.file, "bar/taps/left", uuid4())
    assert (again.recover().odometer_ml, again.open_facts(10)) == (334, [told])
    again.close()


@pytest.mark.parametrize("hangs", [False, True])
async def test_writes_that_fail_at_shutdown_too_are_logged_with_id_and_millilitres(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, hangs: bool
) -> None:
    desk, disk_comes_back = Desk(tmp_path / "journal.sqlite"), threading.Event()
    await desk.worker.open()
    told = await desk.pour()
    if hangs:
        desk.worker._thread.submit(disk_comes_back.wait)
    else:
        await desk.break_disk()
    desk.worker.write(WriteReport(told, odometer(330)))
    desk.worker.write(WriteQuestion(uuid4(), CARD))

    await desk.worker.close(100)

    disk_comes_back.set()
    (lost,) = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    assert str(told.fact_id) in lost
    assert "volume_ml=330" in lost


async def test_repeated_stops_and_configs_push_no_report_out_of_the_waiting_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapwire_node.journal.writer_thread.MAX_KEPT", 20)
    desk, dead = Desk(tmp_path / "journal.sqlite"), uuid4()
    await desk.worker.open()
    told = await desk.pour()
    await desk.break_disk()
    for _ in range(20):
        desk.worker.write(WriteTombstone(dead))
        desk.worker.write(WriteConfig(CONFIG))
    desk.worker.write(WriteReport(told, odometer(330)))
    for _ in range(20):
        desk.worker.write(WriteTombstone(uuid4()))

    desk.disk_works = True
    await desk.hear(FactJournalled)
    await desk.worker.close(1_000)
    again = Journal.open(desk.file, "bar/taps/left", uuid4())
    assert again.open_facts(10) == [told]
    assert again.record_grant(grant(dead), "", 0) is True, "the oldest stop was lost for the newest"
    again.close()


async def test_old_facts_are_deleted_also_on_a_machine_that_never_runs_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapwire_node.journal.journal_file.ALWAYS_KEPT", 0)
    monkeypatch.setattr("tapwire_node.journal.writer_thread.monotonic_ms", lambda: DAY_MS // 3)
    desk = Desk(tmp_path / "journal.sqlite")
    journal = desk.open()
    journal.record_verdict(poured(journal), b"{}")
    journal._db.execute("UPDATE facts SET verdict_at = '2020-01-01'")
    journal.close()

    await desk.worker.open()
    desk.worker.write(WriteTombstone(uuid4()))
    await desk.worker.close(1_000)

    journal = desk.open()
    assert journal._db.execute("SELECT count(*) FROM facts").fetchone()[0] == 0
    journal.close()


async def test_on_a_full_disk_a_running_pour_is_written_and_no_new_one_begins(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "journal.sqlite")
    disk = desk.disk = FullDisk(desk.file, 64)
    await desk.worker.open()
    desk.worker.write(WriteQuestion(uuid4(), CARD))
    await desk.hear(QuestionJournalled)

    desk.worker._submit(disk.fill)
    facts = [refusal() for _ in range(200)]
    for fact in facts:
        desk.worker.write(fact)
    await desk.hear(FactJournalled, len(facts))
    assert desk.count(JournalFailed) == 1, "the valve closes, once"
    desk.worker.write(WriteQuestion(uuid4(), CARD))
    await desk.hear(JournalFailed, 2)
    assert desk.count(QuestionJournalled) == 1
    assert desk.count(JournalOpened) == 1

    disk.is_full = False
    await desk.hear(JournalOpened, 2)
    desk.worker.write(WriteQuestion(uuid4(), CARD))
    await desk.hear(QuestionJournalled, 2)
    await desk.worker.close(1_000)
