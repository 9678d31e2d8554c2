"""Periodic tasks survive database errors: they are logged, and the next turn tries again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Never, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError

R = TypeVar("R")

DATABASE_ERRORS: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError)
"""All that a database may raise, gone (`db.failures.is_database_unavailable`) or not: a worker goes on and tries again."""

log: Final = logging.getLogger(__name__)


async def survive(step: Callable[[], Awaitable[R]]) -> R | None:
    """The step's result; None when the database failed."""
    try:
        return await step()
    except DATABASE_ERRORS as error:
        log.warning("database: %s", error)
        return None


async def repeat(pause_s: float, step: Callable[[], Awaitable[object]], *, rests: float = 0.0) -> Never:
    """Do a step again and again, resting at least `rests` times as long as it took."""
    while True:
        began_s = time.monotonic()
        await survive(step)
        await asyncio.sleep(max(pause_s, rests * (time.monotonic() - began_s)))
