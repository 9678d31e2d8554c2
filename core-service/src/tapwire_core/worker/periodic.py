"""What a worker does again and again goes on when the database fails: it is logged and tried the next time."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Never, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError

R = TypeVar("R")

DATABASE_ERRORS: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError)
"""All that a database may raise, gone (`db.views.health.is_database_gone`) or not: a worker goes on and tries again."""

log: Final = logging.getLogger(__name__)


async def tried(step: Callable[[], Awaitable[R]]) -> R | None:
    """What the step gives; None when the database did not let it."""
    try:
        return await step()
    except DATABASE_ERRORS as error:
        log.warning("database: %s", error)
        return None


async def every(pause_s: float, step: Callable[[], Awaitable[object]], *, rests: float = 0.0) -> Never:
    """Do a step again and again, resting at least `rests` times as long as it took."""
    while True:
        began_s = time.monotonic()
        await tried(step)
        await asyncio.sleep(max(pause_s, rests * (time.monotonic() - began_s)))
