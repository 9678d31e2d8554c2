"""A synchronous standby as it is shipped (`deploy/postgres/server.sh`): a commit counts when it has it, and it takes over."""

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

SERVER: Final = Path(__file__).parents[2] / "deploy" / "postgres" / "server.sh"
READY_S: Final = 60.0
LOOK_S: Final = 0.1
PASSWORD: Final = "of the replicator"


class Standby:
    """A running standby of an embedded server."""

    def __init__(self, primary: EmbeddedPostgres, port: int) -> None:
        self.url = _elsewhere(primary.url, port)
        self.application_url = _elsewhere(primary.application_url_of(), port)

    async def take_over(self) -> None:
        """Become the primary."""
        connection = await asyncpg.connect(self.url)
        try:
            assert await connection.fetchval("SELECT pg_promote(true, $1::int)", round(READY_S))
        finally:
            await connection.close()


def _elsewhere(url: str, port: int) -> str:
    return url.replace(f":{urlsplit(url).port}/", f":{port}/")


@asynccontextmanager
async def standby_of(primary: EmbeddedPostgres, port: int, logs: Path) -> AsyncIterator[Standby]:
    """Copy the primary, follow it, and make it wait for us at every commit."""
    connection = await asyncpg.connect(primary.url)
    try:
        await connection.execute(f"CREATE ROLE replicator LOGIN REPLICATION PASSWORD '{PASSWORD}'")
        data = Path(await connection.fetchval("SHOW data_directory"))
        server = _start(primary, data, port, logs)
        try:
            async with asyncio.timeout(READY_S):
                # by its name: the copy streams too, and would take a setting with it that is made meanwhile
                while await connection.fetchval("SELECT count(*) FROM pg_stat_replication WHERE application_name = 'standby'") != 1:
                    assert server.running, server.log_tail()
                    await asyncio.sleep(LOOK_S)
                await connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby)'")
                await connection.execute("SELECT pg_reload_conf()")
                while await connection.fetchval("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") != 1:
                    await asyncio.sleep(LOOK_S)
            assert await connection.fetchval("SELECT active FROM pg_replication_slots WHERE slot_name = 'standby'")
            yield Standby(primary, port)
        finally:
            await server.stop()
    finally:
        connection.terminate()


def _start(primary: EmbeddedPostgres, primary_data: Path, port: int, logs: Path) -> Child:
    folder = primary_data.with_name("standby")
    folder.mkdir()
    (folder / "password").write_text(PASSWORD)
    status = primary_data.stat()
    owner = Owner(status.st_uid, status.st_gid) if os.geteuid() == 0 else None
    if owner is not None:  # PostgreSQL refuses root; the standby runs as the user whose the primary is
        for path in (folder, folder / "password"):
            os.chown(path, owner.uid, owner.gid)
    return Child(
        ["bash", SERVER, "standby"],
        log=logs / "standby.log",
        stop_steps=DEFAULTS.stop_steps,
        owner=owner,
        env={
            "LC_ALL": "C",
            "TZ": "UTC",
            "PATH": f"{installed_binaries()}:/usr/bin:/bin",
            "PGDATA": str(folder / "data"),
            "PRIMARY": "postgres",
            "PRIMARY_ADDRESS": f"host={LOOPBACK} port={primary.port}",
            "REPLICATION_PASSWORD_FILE": str(folder / "password"),
            "SETTINGS": f"port={port} listen_addresses={LOOPBACK} unix_socket_directories=",
        },
        cwd=folder,
    )
