"""Batches of decisions: one transaction, four round trips and one sync to disk for all decisions that arrive together.

While one batch is at the database the next one gathers, so that batches grow with the load, and a lone question never waits. A
batch takes what waits only when its transaction has begun. A batch on a slow disk delays nobody: others overtake it, also when many
are queued. A tap is in one batch at a time, which keeps its messages in order.

A batch that fails is made again one by one, beside the others: one message cannot fail its batch. Neither can a row that another
transaction holds: the wait for it is short, as a device without an answer repeats its message.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tapwire_contracts.tasks import end_tasks
from tapwire_core.db.engine import RETRYABLE_ERRORS, Database
from tapwire_core.db.failures import is_database_unavailable
from tapwire_core.services.pours import Answer, DecisionRequest, decide_together, make_decisions

MAX_BATCH: Final = 32
"""Decisions in one transaction."""
MAX_BATCHES: Final = 4
"""Transactions at once."""
MAX_ALONE: Final = 4
"""Transactions at once for decisions of failed batches; together with `MAX_BATCHES` fewer than the pool's connections."""
LOCK_TIMEOUT_MS: Final = 250
"""Longest wait for a row that another transaction holds."""
OVERTAKEN_AFTER_S: Final = 0.02
"""Time at the database after which the next batch does not wait for this one."""
SECOND_BATCH_AT: Final = 8
"""Queue length that starts a second transaction: it reads while the first one writes, and costs little more per decision."""

log: Final = logging.getLogger(__name__)


@dataclass(eq=False)
class _Queued:
    decision: DecisionRequest
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(eq=False)
class _Batch:
    """A batch at the database. Other batches wait until it has begun and taken what it decides, but only until a loop time."""

    overtaken_s: float
    has_begun: bool = False
    taken: list[_Queued] = field(default_factory=list)

    @property
    def decisions(self) -> list[DecisionRequest]:
        """What it decides."""
        return [waiting.decision for waiting in self.taken]


class Batches:
    """A queue of decisions, made in batches while `run` runs."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queue: Final[deque[_Queued]] = deque()
        self._busy_taps: Final[set[str]] = set()
        self._running: Final[dict[asyncio.Task[None], _Batch]] = {}
        self._alone: Final[deque[_Queued]] = deque()
        self._running_alone: Final[set[asyncio.Task[None]]] = set()
        self._wake = asyncio.Event()

    async def submit(self, decision: DecisionRequest) -> Answer:
        """Queue a decision and return its answer; raises the database's errors."""
        waiting = _Queued(decision)
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.answer

    async def run(self) -> None:
        """Make queued decisions, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._may_start():
                    self._start()
                while self._alone and len(self._running_alone) < MAX_ALONE:
                    self._start_alone(self._alone.popleft())
        finally:
            await end_tasks(*self._running, *self._running_alone)

    def _may_start(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        waited_for = [batch for batch in self._running.values() if batch.overtaken_s > now_s]
        if len(self._running) == MAX_BATCHES or not all(batch.has_begun for batch in waited_for):
            return False
        is_turn = not waited_for or (len(waited_for) == 1 and len(self._queue) >= SECOND_BATCH_AT)
        return is_turn and any(waiting.decision.key.tap_path not in self._busy_taps for waiting in self._queue)

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        batch = _Batch(loop.time() + OVERTAKEN_AFTER_S)
        task = loop.create_task(self._run_batch(batch))
        self._running[task] = batch
        task.add_done_callback(self._finish)
        loop.call_at(batch.overtaken_s, self._wake.set)

    def _start_alone(self, waiting: _Queued) -> None:
        task = asyncio.get_running_loop().create_task(self._run_alone(waiting))
        self._running_alone.add(task)
        task.add_done_callback(self._running_alone.discard)
        task.add_done_callback(lambda _: self._wake.set())

    def _take(self, batch: _Batch) -> None:
        left = list[_Queued]()
        while self._queue and len(batch.taken) < MAX_BATCH:
            waiting = self._queue.popleft()
            tap = waiting.decision.key.tap_path
            (left if tap in self._busy_taps else batch.taken).append(waiting)
            self._busy_taps.add(tap)
        self._queue.extendleft(reversed(left))
        batch.has_begun = True
        self._wake.set()

    def _finish(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def _run_batch(self, batch: _Batch) -> None:
        try:
            outcomes: Sequence[Answer | Exception | None] = await self._decide(batch)
        except Exception as error:
            if not batch.has_begun:
                self._take(batch)
            if len(batch.taken) > 1 and not is_database_unavailable(error):
                log.warning("a batch of %d decisions failed, each is made alone: %r", len(batch.taken), error)
                self._alone.extend(batch.taken)
                return
            outcomes = [error] * len(batch.taken)
        self._end(batch.taken, outcomes)

    async def _decide(self, batch: _Batch) -> Sequence[Answer | None]:
        try:
            async with self._db.transaction() as store:
                self._take(batch)
                return await decide_together(store, batch.decisions, LOCK_TIMEOUT_MS) if batch.taken else ()
        except RETRYABLE_ERRORS:
            return await make_decisions(self._db, batch.decisions, LOCK_TIMEOUT_MS)

    async def _run_alone(self, waiting: _Queued) -> None:
        outcomes: Sequence[Answer | Exception | None]
        try:
            outcomes = await make_decisions(self._db, [waiting.decision], LOCK_TIMEOUT_MS)
        except Exception as error:
            outcomes = [error]
        self._end([waiting], outcomes)

    def _end(self, decided: Sequence[_Queued], outcomes: Sequence[Answer | Exception | None]) -> None:
        for waiting, outcome in zip(decided, outcomes, strict=True):
            self._busy_taps.remove(waiting.decision.key.tap_path)
            if outcome is None:
                self._queue.appendleft(waiting)
            else:
                _deliver(waiting, outcome)


def _deliver(waiting: _Queued, outcome: Answer | Exception) -> None:
    """Hand the outcome over, unless the caller has gone."""
    if waiting.answer.done():
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
