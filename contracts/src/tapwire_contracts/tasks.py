"""Ending asyncio tasks that may lose a cancellation.

Before Python 3.12 `asyncio.wait_for` keeps a cancellation to itself that comes together with its result (CPython 86296), and an
`aiomqtt.Client` whose goodbye fails raises that error in the place of a cancellation. A loop around either goes on for ever, so
that a program told to end never would. Such tasks are ended here, and not by an `asyncio.TaskGroup`, which cancels only once.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

CANCEL_INTERVAL_S: Final = 3.0
"""Between two cancellations of a task: longer than a proper goodbye takes, as the second would cut it off."""


async def end_tasks(*tasks: asyncio.Task[Any], cancel_interval_s: float = CANCEL_INTERVAL_S) -> None:
    """Cancel tasks until they have ended, however they end."""
    while running := {task for task in tasks if not task.done()}:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=cancel_interval_s)


async def run_together(*work: Coroutine[Any, Any, None]) -> None:
    """Run until one of these ends, then end the others; raises what a task raised, the first of them in the order given."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(*tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
