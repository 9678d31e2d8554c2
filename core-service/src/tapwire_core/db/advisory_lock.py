"""Work that one process at a time does, of however many: by an advisory lock that ends with its connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tapwire_core.db.connections import connect


@asynccontextmanager
async def hold_lock(url: str, lock: int, retry_s: float) -> AsyncIterator[asyncpg.Connection]:
    """Wait for the turn and have it during the block; it is ours as long as the connection answers.

    It is asked for again and again: to wait for it in the database would hold a snapshot, and keep dead rows from being cleared.
    """
    connection = await connect(url)
    try:
        while True:
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock):
                break
            await asyncio.sleep(retry_s)
        yield connection
    finally:
        # at once and without waiting: an error of a slow goodbye would take the place of a cancellation
        connection.terminate()
