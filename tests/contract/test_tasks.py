"""Tasks that lose a cancellation are ended all the same."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tapwire_contracts.tasks import end_tasks, run_together

SOON_S = 0.01


class Lost(Exception):
    """The error of a lost connection."""


async def deaf_once(*, then: BaseException | None = None) -> None:
    """Keep the first cancellation to itself, as `wait_for` does whose result comes at the same moment."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if then is not None:
            raise then from None
    await asyncio.Event().wait()


async def for_ever() -> None:
    await asyncio.Event().wait()


async def failing() -> None:
    raise Lost


async def begun(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def test_a_task_that_lost_its_cancellation_is_cancelled_again() -> None:
    tasks = [await begun(deaf_once()), await begun(for_ever())]
    await end_tasks(*tasks, cancel_interval_s=SOON_S)
    assert all(task.cancelled() for task in tasks)


async def test_an_error_in_the_place_of_a_cancellation_ends_the_task_too() -> None:
    task = await begun(deaf_once(then=Lost()))
    await end_tasks(task)
    assert isinstance(task.exception(), Lost)


async def test_what_runs_together_ends_with_the_first_and_raises_what_it_raised() -> None:
    with pytest.raises(Lost):
        await run_together(for_ever(), failing())


async def test_what_runs_together_is_cancelled_although_its_parts_fail_meanwhile() -> None:
    running = await begun(run_together(for_ever(), deaf_once(then=Lost())))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_a_second_cancellation_while_tasks_end_leaves_none_of_them_running() -> None:
    inner = await begun(deaf_once())
    running = await begun(end_tasks(inner, cancel_interval_s=SOON_S))
    running.cancel()
    await asyncio.wait([running])
    assert inner.cancelled()
    assert running.cancelled()
