"""Work that goes on besides a block."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tapwire_contracts.tasks import end_tasks


@asynccontextmanager
async def besides(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this besides the block, and end it with it; raises what it raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await end_tasks(*tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
