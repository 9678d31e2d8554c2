"""The embedded database: it keeps its data, leaves no process behind, and starts again after every kind of end."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil
import pytest

from tapwire_demo.postgres import EmbeddedPostgres, PostgresSettings, embedded_postgres, remove_postgres, temporary_postgres
from tapwire_demo.postgres_home import EmbeddedPostgresError, PostgresHome, installed_binaries, open_home, reachable_binaries
from tapwire_demo.processes import Child, StopStep, free_port

SETTINGS: Final = PostgresSettings(durable=False)
PATIENCE_S: Final = 10.0
DEMO: Final = Path(__file__).parents[3] / "demo"
STOP: Final = (StopStep(signal.SIGKILL, 5.0),)

SERVE: Final = """
import asyncio, json, pathlib, sys
from tapwire_demo.postgres import PostgresSettings, embedded_postgres
async def serve():
    async with embedded_postgres(pathlib.Path(sys.argv[1]), PostgresSettings(durable=False)) as postgres:
        print(json.dumps({"pid": postgres.pid, "url": postgres.url}), flush=True)
        await asyncio.sleep(60)
asyncio.run(serve())
"""


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A demo's folder; its database is deleted afterwards."""
    folder = tmp_path / "demo"
    yield folder
    await remove_postgres(folder, SETTINGS)


async def test_data_and_password_survive_a_restart(folder: Path) -> None:
    async with embedded_postgres(folder, SETTINGS) as postgres:
        assert postgres.created
        password = postgres.url.split("@")[0]
        await write_fact(postgres)

    async with embedded_postgres(folder, SETTINGS) as postgres:
        assert not postgres.created
        assert postgres.url.split("@")[0] == password
        assert await facts(postgres) == 1


async def test_it_listens_on_the_loopback_address_only_and_wants_the_password(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres.url, "SHOW listen_addresses") == "127.0.0.1"
    assert await ask(postgres.url, "SHOW unix_socket_directories") == ""

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=postgres.port, user="tapwire", password="guess", database="tapwire")


async def test_an_ended_server_leaves_neither_process_nor_data() -> None:
    async with temporary_postgres(SETTINGS) as postgres:
        data = Path(await ask(postgres.url, "SHOW data_directory"))
        pid = postgres.pid

    assert not psutil.pid_exists(pid)
    assert not data.parent.exists()


async def test_a_start_cancelled_at_any_moment_leaves_nothing_half_made(folder: Path) -> None:
    async def start() -> None:
        async with embedded_postgres(folder, SETTINGS):
            await asyncio.sleep(PATIENCE_S)

    # children only: the server that other tests use begins workers of its own whenever it likes
    ours = set(psutil.Process().children())
    for moment_s in (0.0, 0.02, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 0.02, 0.05, 0.1):
        starting = asyncio.create_task(start())
        await asyncio.sleep(moment_s)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

        assert set(psutil.Process().children()) - ours == set(), f"a process left by a start of {moment_s} s"
        assert list(open_home(folder).path.glob("data.new-*")) == [], f"data left by a start of {moment_s} s"

    async with embedded_postgres(folder, SETTINGS) as postgres:
        assert await ask(postgres.url, "SELECT 1") == 1


async def test_a_failed_initdb_says_why_and_leaves_nothing_half_made(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="initdb failed"):
        async with embedded_postgres(folder, PostgresSettings(durable=False, initdb_timeout_s=0.05)):
            pass

    assert list(open_home(folder).path.glob("data*")) == []


async def test_a_crashed_server_starts_again_on_its_port_with_its_data(folder: Path) -> None:
    async with embedded_postgres(folder, SETTINGS) as postgres:
        await write_fact(postgres)
        port = postgres.port
        os.kill(postgres.pid, signal.SIGKILL)

        await postgres.start()

        assert postgres.port == port
        assert await facts(postgres) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_a_killed_demo_takes_its_server_with_it_and_the_next_one_finds_its_data(folder: Path) -> None:
    with another_demo(folder, DEMO) as running:
        await execute(running["url"], "CREATE TABLE fact (n int); INSERT INTO fact VALUES (1)")
    await until_gone(running["pid"])

    async with embedded_postgres(folder, SETTINGS) as postgres:
        assert await facts(postgres) == 1


async def test_a_server_that_outlived_its_demo_is_stopped_by_the_next_one(folder: Path) -> None:
    async with embedded_postgres(folder, SETTINGS) as postgres:
        await write_fact(postgres)
    home = open_home(folder)
    pid_file = home.data / "postmaster.pid"
    orphan = serve_by_hand(home, folder)
    while not pid_file.exists():
        assert orphan.running
        await asyncio.sleep(0.02)

    async with embedded_postgres(folder, SETTINGS) as postgres:
        assert not orphan.running
        assert await facts(postgres) == 1


async def test_a_pid_file_that_names_another_program_by_now_stops_nobody(folder: Path) -> None:
    async with embedded_postgres(folder, SETTINGS) as postgres:
        await write_fact(postgres)
    home = open_home(folder)
    bystander = Child(["sleep", "60"], log=folder / "sleep.log", stop_steps=STOP, owner=home.owner)
    (home.data / "postmaster.pid").write_text(f"{bystander.pid}\n{home.data}\n", encoding="utf-8")

    async with embedded_postgres(folder, SETTINGS) as postgres:
        assert await facts(postgres) == 1
        assert bystander.running
    bystander.kill()


async def test_a_second_demo_in_one_folder_is_refused(folder: Path) -> None:
    async with embedded_postgres(folder, SETTINGS):
        with pytest.raises(EmbeddedPostgresError, match="in use by another demo"):
            async with embedded_postgres(folder, SETTINGS):
                pass


async def test_a_clone_has_its_templates_rows_and_a_life_of_its_own(postgres: EmbeddedPostgres) -> None:
    template = await postgres.create_database("cloned_from")
    await execute(template, "CREATE TABLE fact (n int); INSERT INTO fact VALUES (1)")

    clone = await postgres.clone_database("cloned_from", "the_clone")
    await execute(clone, "INSERT INTO fact VALUES (2)")

    assert await ask(clone, "SELECT count(*) FROM fact") == 2
    assert await ask(template, "SELECT count(*) FROM fact") == 1
    await postgres.drop_database("the_clone")
    await postgres.drop_database("cloned_from")


async def test_each_test_gets_a_database_of_the_newest_schema(database_url: str) -> None:
    assert await ask(database_url, "SELECT count(*) FROM pours") == 0


async def test_a_name_that_no_database_may_have_is_refused(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedPostgresError, match="is no database name"):
        await postgres.create_database('x"; DROP DATABASE tapwire')


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's database runs as somebody else")
async def test_roots_database_runs_as_nobody_in_a_private_folder(folder: Path) -> None:
    async with embedded_postgres(folder, SETTINGS) as postgres:
        home = open_home(folder)
        assert home.owner is not None
        assert psutil.Process(postgres.pid).username() == "nobody"
        status = home.path.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (home.owner.uid, 0o700)
        assert home.password_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's database runs as somebody else")
async def test_programs_below_a_folder_that_only_root_can_enter_are_copied_to_where_they_can_run(
    folder: Path, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    installed = installed_binaries().parent
    (hidden / installed.parent.name).mkdir()
    (hidden / installed.parent.name / "__init__.py").touch()
    shutil.copytree(installed, hidden / installed.parent.name / installed.name, ignore=shutil.ignore_patterns("include"))
    libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, hidden / libraries.name)

    with another_demo(folder, hidden, DEMO) as running:
        assert await ask(running["url"], "SELECT 1") == 1
        assert open_home(folder).path in Path(psutil.Process(running["pid"]).exe()).parents
    await until_gone(running["pid"])


@contextmanager
def another_demo(folder: Path, *python_path: Path) -> Iterator[dict[str, Any]]:
    """A process of its own that serves the folder's database; it is killed at the end, without a chance to tidy up."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, python_path))}
    with subprocess.Popen([sys.executable, "-c", SERVE, folder], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def serve_by_hand(home: PostgresHome, folder: Path) -> Child:
    options = ("-D", home.data, "-p", str(free_port()), "--unix_socket_directories=")
    program = reachable_binaries(home) / "postgres"
    return Child([program, *options], log=folder / "orphan.log", stop_steps=STOP, owner=home.owner, cwd=home.path)


async def write_fact(postgres: EmbeddedPostgres) -> None:
    await execute(postgres.url, "CREATE TABLE fact (n int); INSERT INTO fact VALUES (1)")


async def facts(postgres: EmbeddedPostgres) -> int:
    return int(await ask(postgres.url, "SELECT count(*) FROM fact"))


async def execute(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statements)
    await connection.close()


async def ask(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        await asyncio.sleep(0.05)
