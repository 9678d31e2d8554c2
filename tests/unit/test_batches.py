"""Batches of decisions, and their order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final, Self

import pytest

from tapwire_core.services import pour_batches
from tapwire_core.services.pour_batches import Batches
from tests.besides import besides

SOON_S: Final = 5.0


class Database:
    """Decides one at a time, when it is told to; several together always fail."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}

    def let(self, name: str) -> None:
        """Let a decision be made, now or when it comes."""
        self._gates.setdefault(name, asyncio.Event()).set()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """Nothing is rolled back."""
        yield self

    async def decide(self, _: object, decisions: Sequence[Any], wait_ms: int) -> list[str]:
        """Stands for `decide_together` and `make_decisions`."""
        if len(decisions) > 1:
            raise ValueError("not together")
        name = decisions[0].name
        self.begun.append(name)
        await self._gates.setdefault(name, asyncio.Event()).wait()
        return [name]


class SlowToBegin:
    """Decides whatever a transaction has taken; each begins when it is told to."""

    def __init__(self) -> None:
        self.begins: list[asyncio.Event] = []
        self.together: list[list[str]] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """One that waits to begin."""
        self.begins.append(asyncio.Event())
        await self.begins[-1].wait()
        yield self

    async def decide(self, _: object, decisions: Sequence[Any], wait_ms: int) -> list[str]:
        """Stands for `decide_together` and `make_decisions`."""
        self.together.append([one.name for one in decisions])
        return self.together[-1]

    async def asked(self, times: int) -> None:
        """Wait until so many transactions were asked for."""
        while len(self.begins) < times:
            await asyncio.sleep(0)


@asynccontextmanager
async def batches_on(database: Database | SlowToBegin, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Batches on such a database while the block runs."""
    for decide in ("decide_together", "make_decisions"):
        monkeypatch.setattr(pour_batches, decide, database.decide)
    batches = Batches(database)  # type: ignore[arg-type]
    async with asyncio.timeout(SOON_S), besides(batches.run()):
        yield batches


def decision(tap: str, name: str) -> Any:
    """Something to decide at a tap."""
    return SimpleNamespace(name=name, key=SimpleNamespace(tap_path=tap))


async def test_a_tap_is_in_one_transaction_at_a_time_also_after_a_batch_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database()
    async with batches_on(database, monkeypatch) as made:
        slow, first = [asyncio.create_task(made.submit(one)) for one in (decision("left", "slow"), decision("right", "first"))]
        database.let("first")
        await first
        second = asyncio.create_task(made.submit(decision("right", "second")))
        while "second" not in database.begun:
            await asyncio.sleep(0)
        database.let("slow")
        await slow  # the whole batch that failed is through
        third = asyncio.create_task(made.submit(decision("right", "third")))
        await asyncio.sleep(pour_batches.OVERTAKEN_AFTER_S * 3)
        assert database.begun[-1] == "second"
        database.let("second")
        database.let("third")
        assert [await second, await third] == ["second", "third"]


async def test_what_arrives_until_a_transaction_has_begun_is_decided_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    database = SlowToBegin()
    async with batches_on(database, monkeypatch) as batches:
        first = asyncio.create_task(batches.submit(decision("left", "first")))
        await database.asked(1)
        second = asyncio.create_task(batches.submit(decision("right", "second")))
        await asyncio.sleep(0)
        database.begins[0].set()
        await asyncio.gather(first, second)

        assert database.together == [["first", "second"]]


async def test_a_transaction_that_does_not_begin_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    database = SlowToBegin()
    async with batches_on(database, monkeypatch) as batches:
        waiting = asyncio.create_task(batches.submit(decision("left", "first")))
        await database.asked(2)  # the first one does not begin, and is overtaken
        database.begins[1].set()
        await waiting
        database.begins[0].set()

        assert database.together == [["first"]]
