"""Each supported major version of PostgreSQL that is installed takes the schema, a pour, and a backup of another one."""

import asyncio
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tapwire_core.db.backup import load_backup, write_backup
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate, require_newest
from tapwire_core.domain.policy import Policy
from tapwire_core.services.books import check_books
from tapwire_demo.processes import free_port
from tests.integration.database.test_schema import test_the_migrations_make_exactly_what_the_tables_say as assert_schema
from tests.venue import Venue

INSTALLED = Path("/usr/lib/postgresql")
SUPPORTED = (15, 17, 18)
"""As docs/operations.md says; all other tests run on the embedded one."""
STARTS_WITHIN_S = 60.0


@pytest.fixture(params=SUPPORTED)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a new server of one version, without its database's name."""
    binaries = INSTALLED / str(request.param) / "bin"
    if not (binaries / "postgres").exists():
        pytest.skip(f"PostgreSQL {request.param} is not installed (Debian: apt-get install postgresql-{request.param})")
    folder, port = Path("/tmp") / f"tapwire-{os.getpid()}-{request.param}", free_port()
    folder.mkdir(mode=0o700)
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    if user is not None:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    data = folder / "data"
    choices = ["--username=tapwire", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    initdb = [str(binaries / "initdb"), "-D", str(data), *choices]
    try:
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-p", str(port)]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen([binaries / "postgres", "-D", data, *options], user=user, cwd=folder, stdout=log, stderr=log)
        try:
            yield f"postgresql://tapwire@127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(STARTS_WITHIN_S)
    finally:
        shutil.rmtree(folder)


async def test_a_supported_version_takes_schema_pours_and_backups(
    server: str, venue: Venue, empty_owner_url: str, tmp_path: Path
) -> None:
    for name in ("fresh", "restored"):
        await (await connect(server)).execute(f"CREATE DATABASE {name}")
    await migrate(f"{server}/fresh", f"{server.replace('tapwire@', 'program@')}/fresh")
    await require_newest(f"{server}/fresh")
    await assert_schema(f"{server}/fresh")

    async with Database.open(f"{server.replace('tapwire@', 'program@')}/fresh", Policy()) as db:
        here = await Venue.open(db)
        ann, bob = await here.guest(balance_minor=100_00), await here.guest(balance_minor=50_00)
        await here.report(await here.grant(ann), 150)
        assert (await here.report(await here.grant(bob), 400)).outcome == "rejected_insufficient_funds"
        assert await check_books(db) == []
        await write_backup(f"{server}/fresh", tmp_path / "from here")
    await venue.report(await venue.grant(await venue.guest(balance_minor=100_00)), 150)
    await write_backup(venue.db.url, tmp_path / "from the embedded")

    await load_backup(f"{server}/restored", tmp_path / "from the embedded")
    await load_backup(empty_owner_url, tmp_path / "from here")
    for url in (f"{server}/restored", empty_owner_url):
        async with Database.open(url, Policy()) as db:
            assert await check_books(db) == []
            assert await db.pool.fetchval("SELECT count(*) FROM pours WHERE sync_status = 'synced'") == 1


async def connect(server: str) -> asyncpg.Connection:
    """A connection to a server that may still be starting."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            return await asyncpg.connect(f"{server}/postgres")
        except (OSError, asyncpg.CannotConnectNowError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
