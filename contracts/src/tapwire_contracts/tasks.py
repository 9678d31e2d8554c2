"""Reliable cancellation of asyncio tasks that may lose one.

Before Python 3.12 `asyncio.wait_for` swallows a cancellation that arrives together with its result (CPython 86296), and an
`aiomqtt.Client` that fails to disconnect raises that error instead of the cancellation. A loop around either then never ends, and
neither does its program. `end_tasks` repeats the cancellation; an `asyncio.TaskGroup` cancels only once.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

CANCEL_INTERVAL_S: Final = 3.0
"""Interval between two cancellations of a task: longer than a proper disconnect takes, as the second would cut it off."""


async def end_tasks(*tasks: asyncio.Task[Any], cancel_interval_s: float = CANCEL_INTERVAL_S) -> None:
    """Cancel tasks until all have ended, with a result or an error; a cancellation of the caller takes effect after that.

    Where one of these ends tasks itself, the repeated cancellation must not make it leave them.
    """
    interruption: asyncio.CancelledError | None = None
    while running := {task for task in tasks if not task.done()}:
        for task in running:
            task.cancel()
        try:
            await asyncio.wait(running, timeout=cancel_interval_s)
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        raise interruption


async def run_together(*work: Coroutine[Any, Any, None]) -> None:
    """Run until one of these ends, then end the others; raises the first task's error, in the order of the arguments."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(*tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def until_some(look: Callable[[], T | None], pause_s: float) -> T:
    """Look again and again, after a pause each time, until there is something; return it."""
    while True:
        await asyncio.sleep(pause_s)
        if (found := look()) is not None:
            return found
