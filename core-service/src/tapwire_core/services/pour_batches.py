"""Batches of decisions: one transaction, four round trips and one sync to disk for all decisions that arrive together.

While one batch is at the database the next one gathers, so that batches grow with the load, and a lone question never waits. A
batch on a slow disk delays nobody: others overtake it, also when many are queued. A tap is in one batch at a time, which keeps its
messages in order.

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
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import is_database_unavailable
from tapwire_core.services.pours import Answer, DecisionRequest, make_decisions

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


class Batches:
    """A queue of decisions, made in batches while `run` runs."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queue: Final[deque[_Queued]] = deque()
        self._busy_taps: Final[set[str]] = set()
        self._running: Final[dict[asyncio.Task[None], float]] = {}
        """The batches at the database, and the loop time from which others may overtake each."""
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
                while self._may_start() and (batch := self._take()):
                    self._start(batch)
                while self._alone and len(self._running_alone) < MAX_ALONE:
                    self._start_alone(self._alone.popleft())
        finally:
            await end_tasks(*self._running, *self._running_alone)

    def _may_start(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        waited_for = sum(overtaken_s > now_s for overtaken_s in self._running.values())
        return len(self._running) < MAX_BATCHES and (not waited_for or (waited_for == 1 and len(self._queue) >= SECOND_BATCH_AT))

    def _start(self, batch: Sequence[_Queued]) -> None:
        loop = asyncio.get_running_loop()
        overtaken_s = loop.time() + OVERTAKEN_AFTER_S
        task = loop.create_task(self._run_batch(batch))
        self._running[task] = overtaken_s
        task.add_done_callback(self._finish)
        loop.call_at(overtaken_s, self._wake.set)

    def _start_alone(self, waiting: _Queued) -> None:
        task = asyncio.get_running_loop().create_task(self._run_batch([waiting]))
        self._running_alone.add(task)
        task.add_done_callback(self._running_alone.discard)
        task.add_done_callback(lambda _: self._wake.set())

    def _take(self) -> list[_Queued]:
        batch, left = list[_Queued](), list[_Queued]()
        while self._queue and len(batch) < MAX_BATCH:
            waiting = self._queue.popleft()
            tap = waiting.decision.key.tap_path
            (left if tap in self._busy_taps else batch).append(waiting)
            self._busy_taps.add(tap)
        self._queue.extendleft(reversed(left))
        return batch

    def _finish(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def _run_batch(self, batch: Sequence[_Queued]) -> None:
        outcomes: Sequence[Answer | Exception | None]
        try:
            outcomes = await make_decisions(self._db, [waiting.decision for waiting in batch], LOCK_TIMEOUT_MS)
        except Exception as error:
            if len(batch) > 1 and not is_database_unavailable(error):
                log.warning("a batch of %d decisions failed, each is made alone: %r", len(batch), error)
                self._alone.extend(batch)
                return
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
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
