"""Transactions of two core workers on a real database, driven statement by statement."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import asyncpg

from tapwire_core.db.store import Store
from tapwire_core.domain.policy import Policy
from tapwire_core.errors import DomainError

POLL_S: Final = 0.001
STUCK_S: Final = 10.0

UseCase = Callable[[Store], Awaitable[Any]]
"""The steps of one transaction."""
DIED: Final = "died"


class Gate:
    """A connection that waits for permission before each statement."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._permits = asyncio.Semaphore(0)
        self.arrived = asyncio.Event()

    async def wait(self) -> None:
        """Wait to be let through."""
        self.arrived.set()
        await self._permits.acquire()

    def let_through(self) -> None:
        """Let one statement through."""
        self.arrived.clear()
        self._permits.release()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def gated(*arguments: object) -> Any:
            await self.wait()
            return await getattr(self._connection, name)(*arguments)

        return gated


class Worker:
    """One worker's transaction. Its steps are its statements, and its commit; one that `dies` rolls back instead."""

    def __init__(self, connection: asyncpg.Connection, policy: Policy, use_case: UseCase, *, dies: bool = False) -> None:
        self._connection = connection
        self._gate = Gate(connection)
        self._pid = connection.get_server_pid()
        self.task = asyncio.create_task(self._run(use_case, Store(self._gate, policy), dies=dies))

    async def _run(self, use_case: UseCase, store: Store, *, dies: bool) -> Any:
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            result = await use_case(store)
        except DomainError as refused:
            await transaction.rollback()
            return refused.code
        await self._gate.wait()
        await (transaction.rollback() if dies else transaction.commit())
        return DIED if dies else result

    async def step(self, watcher: asyncpg.Connection) -> None:
        """Take one step, unless an earlier one still waits for a lock; come back when it is done or waits for a lock."""
        if self._gate.arrived.is_set():
            self._gate.let_through()
        await self.settle(watcher)

    async def settle(self, watcher: asyncpg.Connection) -> None:
        """Wait until the worker has come to a gate, to its end, or to a lock that somebody else has."""
        async with asyncio.timeout(STUCK_S):
            while not (self.task.done() or self._gate.arrived.is_set()):
                if await watcher.fetchval("SELECT true FROM pg_locks WHERE pid = $1 AND NOT granted", self._pid):
                    return
                await asyncio.sleep(POLL_S)


async def interleave(schedule: str, workers: Mapping[str, Worker], watcher: asyncpg.Connection) -> list[Any]:
    """Step the workers in the order of the schedule's letters, then both to their ends; what each came to."""
    for worker in workers.values():
        await worker.settle(watcher)
    for name in schedule:
        await workers[name].step(watcher)
    while not all(worker.task.done() for worker in workers.values()):
        for worker in workers.values():
            if not worker.task.done():
                await worker.step(watcher)
    return [await worker.task for worker in workers.values()]
