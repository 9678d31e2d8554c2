"""A database that loses its connections: whoever uses it can tell that from a fault, and goes on when it is back."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from sqlalchemy import text

from tapwire_core.db.engine import Database
from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.db.schema import migrate
from tapwire_core.db.views.devices import broker_logins
from tapwire_core.domain.policy import Policy
from tapwire_core.services.beverages import create_beverage
from tapwire_demo.bar import AT_THE_TAPS
from tapwire_demo.postgres import PostgresSettings, temporary_postgres
from tapwire_demo.staff import fill_purses
from tests.venue import OPERATOR

BACK_WITHIN_S = 30


async def read(db: Database) -> object:
    """A view that the demo reads."""
    return await broker_logins(db)


async def read_several(db: Database) -> object:
    """The input of the demo's staff."""
    return await fill_purses(db, AT_THE_TAPS)


async def write(db: Database) -> object:
    """A use case."""
    return await create_beverage(db, OPERATOR, name="Pils", sell_price_per_liter_minor=1)


@pytest.mark.parametrize("use", [read, read_several, write])
async def test_a_server_whose_backend_was_killed_is_at_most_gone_for_a_while_and_then_back(
    use: Callable[[Database], Awaitable[object]],
) -> None:
    async with temporary_postgres(PostgresSettings(durable=False)) as server:
        await migrate(url := await server.create_database("house"))
        async with Database.open(url, Policy()) as db:
            await asyncio.gather(*(use(db) for _ in range(3)))
            os.kill(await backend(db), signal.SIGKILL)

            async with asyncio.timeout(BACK_WITHIN_S):
                while True:
                    try:
                        with translate_database_errors():
                            await use(db)
                        break
                    except DatabaseUnavailable:
                        await asyncio.sleep(0.01)


async def backend(db: Database) -> int:
    """A server process of a connection that reads."""
    async with db.engine.connect() as connection:
        return int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def test_a_read_that_loses_its_connection_in_the_middle_says_that_the_database_is_gone() -> None:
    async with (
        temporary_postgres(PostgresSettings(durable=False)) as server,
        Database.open(await server.create_database("house"), Policy()) as db,
        db.engine.connect() as connection,
    ):
        pid = int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())
        asyncio.get_running_loop().call_later(0.2, os.kill, pid, signal.SIGKILL)

        with pytest.raises(DatabaseUnavailable), translate_database_errors():
            await connection.execute(text("SELECT pg_sleep(20)"))


async def test_a_fault_of_ours_is_not_called_a_database_that_is_gone(db: Database) -> None:
    with suppress(LookupError), translate_database_errors():
        raise LookupError
    with pytest.raises(Exception, match="elsewhere") as raised, translate_database_errors():
        async with db.engine.connect() as connection:
            await connection.execute(text("SELECT * FROM elsewhere"))
    assert not isinstance(raised.value, DatabaseUnavailable)
