"""Advisory lock for work that only one process at a time may do; it ends with its connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tapwire_core.db.connections import connect


@asynccontextmanager
async def hold_lock(url: str, lock: int, retry_s: float) -> AsyncIterator[asyncpg.Connection]:
    """Wait for the lock and hold it during the block, as long as the yielded connection answers.

    Polls each `retry_s` seconds: a wait inside the database would hold a snapshot, and keep dead rows from being vacuumed.
    """
    connection = await connect(url)
    try:
        while True:
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock):
                break
            await asyncio.sleep(retry_s)
        yield connection
    finally:
        # without waiting: an error of a graceful close would replace a cancellation
        connection.terminate()
