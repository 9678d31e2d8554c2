"""A connection that comes back to the pool is as new, wherever its work was cut off."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.house import House

MOMENTS: Final = 250
"""So many turns of the event loop are more than the work takes."""


async def look(db: Database) -> None:
    await db.look(1.0)


async def transact(db: Database) -> None:
    async with db.transaction() as store:
        await store.connection.fetchval("SELECT count(*) FROM taps")


@pytest.mark.parametrize("work", [look, transact])
async def test_work_that_is_cut_off_at_any_moment_leaves_no_transaction(
    database_url: str, work: Callable[[Database], Awaitable[None]]
) -> None:
    ended = set[bool]()
    async with Database.open(database_url, House(), pool_size=1) as db:
        for moment in range(MOMENTS):
            async with db.pool.acquire() as connection:
                await connection.reload_schema_state()  # forgets what is prepared
            task = asyncio.ensure_future(work(db))
            for _ in range(moment):
                await asyncio.sleep(0)
            ended.add(task.done())
            task.cancel()
            await asyncio.wait([task])

            async with db.snapshot() as store:  # refused by a server that is in a transaction already
                await store.connection.fetchval("SELECT count(*) FROM taps")
    assert ended == {True, False}
