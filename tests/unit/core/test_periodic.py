"""Periodic tasks of a worker."""

import asyncio
import time

import pytest

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


async def test_a_step_that_swallows_the_cancellation_does_not_keep_its_task_alive() -> None:
    runs = 0
    began = asyncio.Event()

    async def step() -> None:
        nonlocal runs
        runs += 1
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return  # as a wait does whose result comes at the same moment

    task = asyncio.create_task(repeat(0, step))
    await began.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert runs == 1
