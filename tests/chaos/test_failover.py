"""The primary is killed while guests pour, and its synchronous standby takes over: nothing that was said is lost."""

import asyncio
from pathlib import Path

import pytest

from tapwire_core.db.connections import connect, hosts_of
from tapwire_core.db.engine import Database
from tapwire_core.domain.policy import Policy
from tapwire_demo.postgres import EmbeddedPostgres, embedded_postgres
from tapwire_demo.processes import free_port
from tests.chaos.link import Link
from tests.chaos.monkey import Monkey
from tests.chaos.run import run_chaos
from tests.chaos.site import TEST_TIMEOUT_S, open_site, through
from tests.chaos.standby import standby_of

pytestmark = pytest.mark.timeout(TEST_TIMEOUT_S)
TAPS = 2
PATIENCE_S = 60.0
BEFORE_S = 2.0
"""Guests pour and pay for so long before the primary dies."""


@pytest.mark.lasts
async def test_a_standby_takes_over_and_nothing_is_lost_or_charged_twice() -> None:
    port = free_port()
    async with (
        open_site(TAPS, standby_port=port) as site,
        standby_of(site.postgres, port, site.folder) as standby,
        Database.open(standby.url, Policy(), pool_size=4) as taken_over,
    ):

        async def fail_over(monkey: Monkey) -> None:
            await asyncio.sleep(BEFORE_S)
            primary = site.servers[site.postgres.name]
            primary.stays_down = True
            primary.kill()
            await standby.take_over()
            monkey.note("kill -9, standby promoted", primary.name)
            site.db, site.database_url = taken_over, standby.application_url

        outcome = await run_chaos(site, 1, fail_over, PATIENCE_S)

    assert outcome.findings == []
    assert outcome.pours["synced"] >= TAPS


async def test_a_first_host_that_is_a_standby_is_passed_over(tmp_path: Path) -> None:
    """The old primary, rebuilt as the standby of the one that took over, still stands first; only standbys are like no host."""
    port = free_port()
    async with embedded_postgres(tmp_path / "database") as primary, standby_of(primary, port, tmp_path) as standby:
        first, second = f"127.0.0.1:{port}", f"127.0.0.1:{primary.port}"

        connection = await connect(standby.url.replace(first, f"{first},{second}"))

        assert not await connection.fetchval("SELECT pg_is_in_recovery()")
        await connection.close()
        with pytest.raises(ConnectionError):
            await connect(standby.url.replace(first, f"{first},{first}"))


async def test_a_first_host_without_power_does_not_hide_the_second(postgres: EmbeddedPostgres, database_url: str) -> None:
    async with Link.opened("dead", postgres.port) as dead:
        dead.silence()
        host = through(database_url, dead).replace(f":{dead.port}/", f":{dead.port},127.0.0.1:{postgres.port}/")

        connection = await connect(host)

        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


def test_each_host_of_an_address_has_the_login_and_the_database() -> None:
    assert hosts_of("postgresql://u:p@one:1,[::2]:2/bar?ssl=true") == [
        "postgresql://u:p@one:1/bar?ssl=true",
        "postgresql://u:p@[::2]:2/bar?ssl=true",
    ]
