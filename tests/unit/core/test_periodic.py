"""Periodic tasks of a worker."""

import asyncio
import time

from tapwire_contracts.tasks import end_tasks
from tapwire_core.worker.periodic import repeat

RESTS = 4


async def test_what_takes_long_is_done_the_less_often_and_goes_on_when_it_fails() -> None:
    began_s, ended_s = list[float](), list[float]()

    async def step() -> None:
        began_s.append(time.monotonic())
        await asyncio.sleep(0.02)
        ended_s.append(time.monotonic())
        raise ConnectionResetError("the database is gone")

    again = asyncio.create_task(repeat(0.0, step, rests=RESTS))
    async with asyncio.timeout(20):
        while len(began_s) < 3:
            await asyncio.sleep(0.01)
    await end_tasks(again)

    for begun, ended, next_begun in zip(began_s, ended_s, began_s[1:], strict=False):
        assert next_begun - ended >= RESTS * (ended - begun)
