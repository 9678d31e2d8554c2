"""A synchronous standby: a commit counts when it has it, and it takes over when the primary is gone."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from tapwire_demo.postgres import DEFAULTS, EmbeddedPostgres
from tapwire_demo.postgres_home import installed_binaries
from tapwire_demo.processes import LOOPBACK, Child, Owner

READY_S: Final = 60.0
LOOK_S: Final = 0.1
ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


class Standby:
    """A running standby of an embedded server."""

    def __init__(self, primary_url: str, port: int) -> None:
        self.url = primary_url.replace(f":{urlsplit(primary_url).port}/", f":{port}/")

    async def take_over(self) -> None:
        """Become the primary."""
        connection = await asyncpg.connect(self.url)
        try:
            assert await connection.fetchval("SELECT pg_promote(true, $1::int)", round(READY_S))
        finally:
            await connection.close()


@asynccontextmanager
async def standby_of(primary: EmbeddedPostgres, port: int, logs: Path) -> AsyncIterator[Standby]:
    """Copy the primary, follow it, and make it wait for us at every commit."""
    connection = await asyncpg.connect(primary.url)
    try:
        copied_from = Path(await connection.fetchval("SHOW data_directory"))
        data = copied_from.with_name("standby")
        await _copy(primary.url, data, logs)
        owner = _give_to_owner_of(copied_from, data) if os.geteuid() == 0 else None
        options = ("--listen_addresses=127.0.0.1", "--unix_socket_directories=", "--synchronous_standby_names=")
        server = Child(
            [installed_binaries() / "postgres", "-D", data, "-p", str(port), *options],
            log=logs / "standby.log",
            stop_steps=DEFAULTS.stop_steps,
            owner=owner,
            env=ENVIRONMENT,
            cwd=data,
        )
        try:
            await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            await connection.execute("SELECT pg_reload_conf()")
            async with asyncio.timeout(READY_S):
                while await connection.fetchval("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != 1:
                    assert server.running, server.log_tail()
                    await asyncio.sleep(LOOK_S)
            yield Standby(primary.url, port)
        finally:
            await server.stop()
    finally:
        connection.terminate()


def _give_to_owner_of(copied_from: Path, data: Path) -> Owner:
    """PostgreSQL refuses root; the standby runs as the user whose the primary is."""
    status = copied_from.stat()
    for path in (data, *data.rglob("*")):
        os.chown(path, status.st_uid, status.st_gid)
    return Owner(status.st_uid, status.st_gid)


async def _copy(primary_url: str, data: Path, logs: Path) -> None:
    login = urlsplit(primary_url)
    copying = Child(
        [
            *(installed_binaries() / "pg_basebackup", "-h", LOOPBACK, "-p", str(login.port), "-U", str(login.username)),
            *("-D", data, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"),
        ],
        log=logs / "basebackup.log",
        stop_steps=DEFAULTS.stop_steps,
        env={**ENVIRONMENT, "PGPASSWORD": str(login.password)},
    )
    try:
        assert await copying.ended(READY_S), "the copy of the primary takes too long"
        assert copying.exit_code == 0, copying.log_tail()
    finally:
        copying.kill()
