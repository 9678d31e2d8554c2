"""Periodic tasks that survive errors of database and broker: an error is logged, and the next run retries.

A broker that takes no message in time is not lost yet: a member of a cluster that hangs holds back what goes to its clients. That a
connection is lost is found by reading from it (`broker.client.until_lost`).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Never, TypeVar

import asyncpg
from aiomqtt import MqttError
from sqlalchemy.exc import DBAPIError

from tapwire_core.db.connections import CLIENT_ERRORS

R = TypeVar("R")

DATABASE_ERRORS: Final = (OSError, TimeoutError, asyncpg.PostgresError, *CLIENT_ERRORS, DBAPIError)
"""Any error of the database, not only unavailability (`db.failures.is_database_unavailable`): a worker retries."""

log: Final = logging.getLogger(__name__)


async def survive(step: Callable[[], Awaitable[R]]) -> R | None:
    """Run a step and return its result; None when the database failed, or the broker took no message."""
    try:
        return await step()
    except MqttError as error:
        log.warning("broker: %s", error)
        return None
    except DATABASE_ERRORS as error:
        log.warning("database: %s", error)
        return None


async def repeat(pause_s: float, step: Callable[[], Awaitable[object]], *, rests: float = 0.0) -> Never:
    """Repeat a step, with a pause of `pause_s`, or of `rests` times the step's duration if that is longer."""
    while True:
        began_s = time.monotonic()
        await survive(step)
        await asyncio.sleep(max(pause_s, rests * (time.monotonic() - began_s)))
