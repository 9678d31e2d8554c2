"""Connections: one that comes back to the pool is as new, wherever its work was cut off; a side that is gone is noticed."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tapwire_core.db import engine
from tapwire_core.db.connections import HOST_ERRORS, SOCKET_OPTIONS, TRY_AGAIN_S, connect
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import is_database_unavailable
from tapwire_core.domain.policy import Policy
from tapwire_core.worker.periodic import survive
from tapwire_demo.postgres import EmbeddedPostgres
from tapwire_demo.processes import free_port
from tests.chaos.link import Link
from tests.chaos.site import through

MOMENTS: Final = 250
"""So many turns of the event loop are more than the work takes."""
SOON_S: Final = 15.0
FROZEN_MS: Final = 200
FOLLOWED_S: Final = 20.0
"""Less than a statement's timeout, and more than two looks at the primary on a busy machine."""
SERVER_NAMES: Final = {
    "TCP_KEEPIDLE": "tcp_keepalives_idle",
    "TCP_KEEPINTVL": "tcp_keepalives_interval",
    "TCP_KEEPCNT": "tcp_keepalives_count",
    "TCP_USER_TIMEOUT": "tcp_user_timeout",
}
"""PostgreSQL's names of our socket options."""


async def look(db: Database) -> None:
    await db.check_connection(1.0)


async def transact(db: Database) -> None:
    async with db.transaction() as store:
        await store.connection.fetchval("SELECT count(*) FROM taps")


@pytest.mark.parametrize("work", [look, transact])
async def test_work_that_is_cut_off_at_any_moment_leaves_no_transaction(
    database_url: str, work: Callable[[Database], Awaitable[None]]
) -> None:
    ended = set[bool]()
    async with Database.open(database_url, Policy(), pool_size=1) as db:
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


async def test_a_transaction_of_a_program_that_is_gone_keeps_no_row_locked(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FROZEN_MS", FROZEN_MS)
    lock = "LOCK TABLE taps"
    async with Database.open(database_url, Policy()) as frozen, Database.open(database_url, Policy()) as other:

        async def freeze() -> None:
            async with frozen.transaction() as store:
                await store.connection.execute(lock)
                async with other.transaction() as waiting:
                    await waiting.connection.execute(lock)
                await store.connection.execute(lock)

        async with asyncio.timeout(SOON_S):
            with pytest.raises(asyncpg.InterfaceError) as failed:
                await freeze()
        assert is_database_unavailable(failed.value), "what was said must be said again"
        async with asyncio.timeout(SOON_S), frozen.transaction() as store:
            await store.connection.execute(lock)


async def test_a_transaction_that_may_pause_outlives_what_ends_a_frozen_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FROZEN_MS", FROZEN_MS)
    async with Database.open(database_url, Policy()) as db:
        async with db.transaction() as store:
            await store.may_pause()
            await asyncio.sleep(3 * FROZEN_MS / 1000)
            await store.connection.execute("LOCK TABLE taps")
        async with db.snapshot() as store:
            await asyncio.sleep(3 * FROZEN_MS / 1000)
            await store.connection.fetchval("SELECT count(*) FROM taps")
        async with db.transaction() as store:
            left = await store.connection.fetchval("SHOW idle_in_transaction_session_timeout")
    assert left == f"{FROZEN_MS}ms", "the next transaction of the connection may pause no longer"


async def test_both_sides_ask_whether_the_other_one_is_there(database_url: str) -> None:
    connection = await connect(database_url)
    ours: socket.socket = connection._transport.get_extra_info("socket")
    try:
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name, value in SOCKET_OPTIONS.items():
            assert ours.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
            theirs = await connection.fetchval("SELECT setting FROM pg_settings WHERE name = $1", SERVER_NAMES[name])
            assert int(theirs) == value
    finally:
        await connection.close()


async def test_connections_that_lead_to_a_database_that_is_silent_are_given_up_together(
    postgres: EmbeddedPostgres, database_url: str
) -> None:
    async with Link.opened("primary", postgres.port) as primary:
        url = through(database_url, primary).replace(f":{primary.port}/", f":{primary.port},127.0.0.1:{postgres.port}/")
        async with Database.open(url, Policy()) as db:
            await asyncio.gather(*(db.pool.execute("SELECT pg_sleep(0.1)") for _ in range(5)))
            primary.silence()

            with pytest.raises(TimeoutError):
                await db.check_connection(0.2)

            async with asyncio.timeout(SOON_S):
                await db.check_connection(SOON_S)


def of_two(database_url: str, postgres: EmbeddedPostgres, first: Link) -> str:
    """The same server twice: by way of a link, and then without one."""
    return through(database_url, first).replace(f":{first.port}/", f":{first.port},127.0.0.1:{postgres.port}/")


async def test_what_waits_for_a_former_primary_is_ended_when_another_host_accepts_writes(
    postgres: EmbeddedPostgres, database_url: str
) -> None:
    async with (
        Link.opened("former", postgres.port) as former,
        Database.open(of_two(database_url, postgres, former), Policy()) as db,
    ):
        waiting = asyncio.create_task(db.pool.execute("SELECT pg_sleep(60)"))
        reading = asyncio.create_task(_read_for_long(db))
        await asyncio.sleep(0.3)
        former.silence()

        async with asyncio.timeout(FOLLOWED_S):
            with pytest.raises((OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
                await waiting
            with pytest.raises(DBAPIError):
                await reading
            assert await db.pool.fetchval("SELECT 1") == 1


async def _read_for_long(db: Database) -> None:
    async with db.read() as connection:
        await connection.execute(text("SELECT pg_sleep(60)"))


async def test_a_login_that_every_host_refuses_is_said_to_be_refused(postgres: EmbeddedPostgres, database_url: str) -> None:
    wrong = urlsplit(database_url)._replace(netloc=f"nobody:wrong@127.0.0.1:{postgres.port},127.0.0.1:{free_port()}").geturl()

    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await connect(wrong)


async def test_programs_that_find_no_primary_do_not_storm_the_hosts_that_are_about_to_take_over() -> None:
    came = 0

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        writer.close()

    async def fail(url: str) -> None:
        with pytest.raises(HOST_ERRORS):
            await connect(url)

    servers = [await asyncio.start_server(refuse, "127.0.0.1", 0) for _ in range(2)]
    try:
        hosts = ",".join(f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers)
        url = f"postgresql://nobody@{hosts}/tapwire?sslmode=disable"
        await fail(url)
        for _ in range(5):
            await asyncio.gather(*(fail(url) for _ in range(20)))
        assert came == len(servers), "one try for all"
        await asyncio.sleep(TRY_AGAIN_S)
        await asyncio.gather(*(fail(url) for _ in range(20)))
        assert came == 2 * len(servers), "and another one after a while"
    finally:
        for server in servers:
            server.close()


async def test_a_connection_that_the_server_is_just_ending_means_an_unavailable_database() -> None:
    failed = asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")
    assert is_database_unavailable(failed)

    async def step() -> None:
        raise failed

    await survive(step)  # its program goes on
