"""The thread that writes the journal.

The event loop hands effects over and goes on, so that closing the valve never waits for the disk. Answers come back to the loop as
events. After a failed write the journal counts as broken: writes that must not be lost (`KEPT_WHILE_BROKEN`) wait in order, all
others fail at once, and the file is opened again each `retry_ms` until all waiting writes are done. Shutdown tries once more; what
can't be written then is logged completely, so that a person can book it.

On a full disk the journal gives up its reserve, so that a running pour is written to its end, and the tap asks no question until
the reserve exists again. A journal that comes back with another id was replaced: the node ends and must be started again with it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, assert_never
from uuid import UUID

from tapwire_node.clock import monotonic_ms
from tapwire_node.controller.effects import (
    DropServiceRun,
    FindReport,
    JournalEffect,
    WriteCheckpoint,
    WriteConfig,
    WriteFlow,
    WriteGrant,
    WriteQuestion,
    WriteRefusal,
    WriteRenewal,
    WriteReport,
    WriteServiceRun,
    WriteTombstone,
    WriteVerdict,
)
from tapwire_node.controller.events import (
    CheckpointJournalled,
    EventFactory,
    FactJournalled,
    GrantAlreadyJournalled,
    GrantJournalled,
    JournalFailed,
    JournalOpened,
    JournalRenewed,
    QuestionJournalled,
    ReportFound,
    ReportMissing,
    ServiceRunJournalled,
)
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.journal.connection import JournalBroken, JournalFull
from tapwire_node.journal.identity import JournalInUse
from tapwire_node.journal.journal_file import Journal, ReportStatus

NEEDS_ROOM: Final = (WriteQuestion, WriteGrant)
"""Writes that begin a pour: they need the disk's reserve."""
IRREPLACEABLE: Final = (WriteRefusal, WriteReport, WriteFlow, WriteCheckpoint)
"""Writes of facts that nobody else has: dropped last when too many wait."""
KEPT_WHILE_BROKEN: Final = (*IRREPLACEABLE, WriteVerdict, WriteConfig, WriteTombstone)
ONLY_LATEST_COUNTS: Final = (WriteCheckpoint, WriteConfig)
"""Writes of which a later one replaces an earlier one."""
MAX_KEPT: Final = 10_000
"""Largest number of writes that wait for a broken journal; a leak alone fills this in three days."""
DAY_MS: Final = 86_400_000
MS_PER_S: Final = 1_000
logger: Final = logging.getLogger(__name__)


class JournalReplaced(Exception):
    """The journal of this boot was replaced by another one."""


class JournalWriter:
    """Owns the journal's thread; `post` and `fail` are called on the event loop's thread."""

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        post: Callable[[EventFactory], None],
        fail: Callable[[BaseException], None],
        retry_ms: int,
        keep_days: int,
    ) -> None:
        self._open_journal = open_journal
        self._post = post
        self._fail = fail
        self._retry_ms = retry_ms
        self._keep_days = keep_days
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._journal: Journal | None = None
        self._journal_id: UUID | None = None
        self._is_full = False
        self._last_open_error: str | None = None
        """The last error of opening, so that a repeated one raises no alarm again."""
        self._untried: deque[JournalEffect] = deque()
        """Handed over and not tried yet."""
        self._kept: dict[object, JournalEffect] = {}
        self._pruned_ms: int | None = None
        self._ending = False

    # ── on the event loop ───────────────────────────────────────────────────

    async def open(self) -> None:
        """Open the journal; `JournalOpened` or `JournalFailed` is posted before this returns."""
        await asyncio.wait([asyncio.wrap_future(self._submit(self._reopen))])

    def write(self, effect: JournalEffect) -> None:
        """Carry out an effect, after all those handed over before."""
        self._untried.append(effect)
        self._submit_unless_ending(self._write_next)

    def record_alarm(self, text: str) -> None:
        """Store an alarm for the technician, if the journal works."""
        self._submit_unless_ending(partial(self._record_alarm, text))

    async def open_facts(self, limit: int) -> list[Fact]:
        """Ended facts without a verdict, the oldest first; none while the journal is broken or closing."""
        if self._ending:
            return []
        return await self._loop.run_in_executor(self._thread, self._open_facts, limit)

    async def close(self, timeout_ms: int) -> None:
        """Close the journal when everything handed over is written, or after the timeout."""
        self._ending = True
        closed = self._loop.run_in_executor(self._thread, self._finish)
        await asyncio.wait([closed], timeout=timeout_ms / MS_PER_S)
        self._thread.shutdown(wait=False, cancel_futures=True)
        for effect in (*self._kept.values(), *self._untried):
            if isinstance(effect, KEPT_WHILE_BROKEN):
                logger.critical("the node ends without writing this to its journal, book it by hand: %s", effect)

    def _submit_unless_ending(self, work: Callable[[], list[EventFactory]]) -> None:
        if not self._ending:
            self._submit(work)

    def _submit(self, work: Callable[[], list[EventFactory]]) -> Future[list[EventFactory]]:
        submitted = self._thread.submit(work)
        submitted.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._answer, done))
        return submitted

    def _answer(self, done: Future[list[EventFactory]]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._fail(error)
            return
        for answer in done.result():
            self._post(answer)

    # ── on the journal's thread ─────────────────────────────────────────────

    def _reopen(self) -> list[EventFactory]:
        """Open the journal if necessary, and write what waits; raises `JournalReplaced`."""
        answers: list[EventFactory] = []
        try:
            journal = self._ensure_open()
            recovered = journal.recover()
            answers.extend(self._write_kept(journal))
        except JournalBroken as error:
            broken = self._mark_broken(error)
            is_news, self._last_open_error = self._last_open_error != str(error), str(error)
            return [*answers, broken] if is_news else answers
        self._last_open_error = None
        self._require_same_journal(recovered.journal_id)
        return [partial(JournalOpened, recovered=recovered), *answers, *self._allocate_reserve()]

    def _ensure_open(self) -> Journal:
        if self._journal is None:
            self._journal = self._open_journal()
        return self._journal

    def _write_kept(self, journal: Journal) -> Iterator[EventFactory]:
        """Write what waits, in order. A replaced journal has an odometer of its own, so the checkpoint is dropped."""
        if self._journal_id not in (None, journal.journal_id):
            self._kept.pop(WriteCheckpoint, None)
        while self._kept:
            key = next(iter(self._kept))
            answers = write_effect_using_reserve(journal, self._kept[key])
            del self._kept[key]
            yield from answers

    def _require_same_journal(self, journal_id: UUID) -> None:
        """Raise `JournalReplaced` for another journal than the first one: the controller's state does not fit it."""
        if self._journal_id not in (None, journal_id):
            self._close()
            raise JournalReplaced(f"journal {self._journal_id} was replaced by {journal_id}: the node ends, to start again with it")
        self._journal_id = journal_id

    def _write_next(self) -> list[EventFactory]:
        try:
            return self._write_one(self._untried[0])
        finally:
            self._untried.popleft()

    def _write_one(self, effect: JournalEffect) -> list[EventFactory]:
        journal = self._journal
        if journal is None or (self._is_full and isinstance(effect, NEEDS_ROOM)):
            self._keep(effect)
            return [] if isinstance(effect, KEPT_WHILE_BROKEN) else [partial(JournalFailed, text="it is still broken")]
        try:
            self._delete_old(journal)
            answers = write_effect(journal, effect)
            self._journal_id = journal.journal_id
            return answers
        except JournalFull as error:
            return self._write_on_full_disk(journal, effect, error)
        except JournalBroken as error:
            self._keep(effect)
            return [self._mark_broken(error)]

    def _write_on_full_disk(self, journal: Journal, effect: JournalEffect, full: JournalFull) -> list[EventFactory]:
        """Report the full disk, so that the valve closes, and write what has flowed; a question or grant fails."""
        try:
            written = [] if isinstance(effect, NEEDS_ROOM) else write_effect_using_reserve(journal, effect)
        except JournalBroken as error:
            self._keep(effect)
            return [self._mark_broken(error)]
        self._wait_for_room()
        return [*written, partial(JournalFailed, text=f"the disk is full: {full}")]

    def _wait_for_room(self) -> None:
        if not self._is_full:
            self._is_full = True
            self._retry_later(self._retry_reserve)

    def _allocate_reserve(self) -> list[EventFactory]:
        """Create the reserve; without it the tap stays out of service."""
        assert self._journal is not None
        try:
            self._journal.allocate_reserve()
        except JournalBroken as error:
            self._wait_for_room()
            return [partial(JournalFailed, text=f"the disk has no room for the journal's reserve: {error}")]
        self._is_full = False
        return []

    def _retry_reserve(self) -> list[EventFactory]:
        """Return to normal if the disk has room again."""
        if self._journal is None:
            return []
        try:
            self._journal.allocate_reserve()
        except JournalBroken:
            self._retry_later(self._retry_reserve)
            return []
        self._is_full = False
        return self._reopen()

    def _record_alarm(self, text: str) -> list[EventFactory]:
        try:
            if self._journal is not None:
                self._journal.record_alarm(text)
        except JournalBroken as error:
            logger.warning("an alarm could not be stored in the journal: %s", error)
        return []

    def _delete_old(self, journal: Journal) -> None:
        """Delete old facts at the first write of a boot (many machines are switched off each night) and then daily."""
        if self._pruned_ms is None or monotonic_ms() - self._pruned_ms >= DAY_MS:
            journal.delete_older_than(self._keep_days)
            self._pruned_ms = monotonic_ms()

    def _keep(self, effect: JournalEffect) -> None:
        if not isinstance(effect, KEPT_WHILE_BROKEN):
            return
        key = type(effect) if isinstance(effect, ONLY_LATEST_COUNTS) else effect
        self._kept.pop(key, None)
        self._kept[key] = effect
        if len(self._kept) > MAX_KEPT:
            least = next((kept for kept, waiting in self._kept.items() if not isinstance(waiting, IRREPLACEABLE)), key)
            logger.critical("the journal has been broken for too long and %s is lost: book it by hand", self._kept.pop(least))

    def _mark_broken(self, error: JournalBroken) -> EventFactory:
        """Close the file and schedule the next try."""
        self._close()
        self._retry_later(self._reopen)
        return partial(JournalFailed, text=str(error))

    def _retry_later(self, work: Callable[[], list[EventFactory]]) -> None:
        self._loop.call_soon_threadsafe(self._loop.call_later, self._retry_ms / MS_PER_S, self._submit_unless_ending, work)

    def _open_facts(self, limit: int) -> list[Fact]:
        try:
            return self._journal.open_facts(limit) if self._journal else []
        except JournalBroken as error:
            self._loop.call_soon_threadsafe(self._post, self._mark_broken(error))
            return []

    def _finish(self) -> None:
        """Try once more to write what waits, then close the file."""
        try:
            if self._kept:
                list(self._write_kept(self._ensure_open()))
        except (JournalBroken, JournalInUse) as error:
            logger.error("the journal can't be written at shutdown: %s", error)
        finally:
            self._close()

    def _close(self) -> None:
        self._is_full = False
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def write_effect(journal: Journal, effect: JournalEffect) -> list[EventFactory]:
    """Write one effect and return the answers to it; raises `JournalBroken`."""
    match effect:
        case WriteQuestion():
            return [partial(QuestionJournalled, event_id=effect.event_id, seq=journal.next_seq(effect.card_uid))]
        case WriteGrant():
            is_new = journal.record_grant(effect.grant, effect.started_at, effect.odometer_ml)
            return [partial(GrantJournalled if is_new else GrantAlreadyJournalled, pour_id=effect.grant.pour_id)]
        case WriteTombstone():
            journal.record_tombstone(effect.pour_id)
        case WriteRefusal():
            refused = journal.record_refusal(effect.report)
            return [partial(FactJournalled, fact=refused)] if refused else []
        case FindReport():
            return answer_find_report(journal, effect)
        case WriteReport():
            return [partial(FactJournalled, fact=journal.record_report(effect.report, effect.odometer))]
        case WriteFlow():
            journal.record_flow(effect.report, effect.odometer, ended=effect.ended)
            return [partial(FactJournalled, fact=effect.report)] if effect.ended else []
        case WriteServiceRun():
            journal.record_flow(effect.report, effect.odometer, ended=False)
            return [partial(ServiceRunJournalled, run_id=effect.report.fact_id)]
        case DropServiceRun():
            journal.drop_run(effect.run_id)
        case WriteCheckpoint():
            journal.checkpoint(effect.odometer, effect.fact_id, effect.odometer_from_ml, effect.duration_ms)
            return [partial(CheckpointJournalled, odometer_ml=effect.odometer.ml)]
        case WriteVerdict():
            journal.record_verdict(effect.fact_id, effect.verdict)
        case WriteConfig():
            journal.record_config(effect.config)
        case WriteRenewal():
            journal.renew(effect.journal_id)
            return [partial(JournalRenewed, journal_id=effect.journal_id)]
        case _:
            assert_never(effect)
    return []


def write_effect_using_reserve(journal: Journal, effect: JournalEffect) -> list[EventFactory]:
    """Write one effect, giving up the reserve on a full disk; raises `JournalBroken`."""
    try:
        return write_effect(journal, effect)
    except JournalFull:
        if not journal.release_reserve():
            raise
    return write_effect(journal, effect)


def answer_find_report(journal: Journal, effect: FindReport) -> list[EventFactory]:
    """Answer the core's request for a pour's report."""
    standing, fact = journal.find_report(effect.asked_journal_id, effect.report)
    match standing:
        case ReportStatus.OPEN | ReportStatus.SETTLED:
            assert fact is not None
            return [partial(ReportFound, fact=fact, settled=standing is ReportStatus.SETTLED)]
        case ReportStatus.NOW_DEAD:
            assert fact is not None
            return [partial(FactJournalled, fact=fact)]
        case ReportStatus.RUNNING:
            return []
        case ReportStatus.ELSEWHERE | ReportStatus.LOST:
            return [partial(ReportMissing, pour_id=effect.report.fact_id, asked_journal_id=effect.asked_journal_id)]
        case _:
            assert_never(standing)
