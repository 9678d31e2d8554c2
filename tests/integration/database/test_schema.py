"""The schema: migrations make what the tables say, and a database that isn't there is refused with the way to get there."""

import asyncio
import codecs
import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlmodel import SQLModel

from tapwire_core.db.engine import Database, open_engine
from tapwire_core.db.schema import migrate, newest_revision, require_newest
from tapwire_core.errors import NotMigrated


async def test_the_migrations_make_exactly_what_the_tables_say(owner_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), SQLModel.metadata))

    engine = open_engine(owner_url)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


async def test_four_migrations_at_once_run_one_after_the_other(empty_owner_url: str) -> None:
    revisions = await asyncio.gather(*(migrate(empty_owner_url) for _ in range(4)))

    assert revisions == [newest_revision()] * 4
    await require_newest(empty_owner_url)


async def test_a_database_that_is_not_migrated_is_refused_with_the_command_to_run(empty_owner_url: str) -> None:
    with pytest.raises(NotMigrated, match="run `tapwire-core migrate`"):
        await require_newest(empty_owner_url)


async def test_a_role_that_may_not_read_the_tables_is_told_what_to_run_and_reads_them_then(
    empty_owner_url: str, empty_database_url: str
) -> None:
    await migrate(empty_owner_url, empty_database_url)
    await require_newest(empty_database_url)
    connection = await asyncpg.connect(empty_owner_url)
    await connection.execute(f"REVOKE ALL ON alembic_version FROM {urlsplit(empty_database_url).username}")
    await connection.close()

    with pytest.raises(NotMigrated, match="run `tapwire-core migrate` with the owner's address"):
        await require_newest(empty_database_url)

    await migrate(empty_owner_url, empty_database_url)
    await require_newest(empty_database_url)


async def test_a_database_of_a_newer_version_is_refused(empty_owner_url: str) -> None:
    await migrate(empty_owner_url)
    connection = await asyncpg.connect(empty_owner_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()

    with pytest.raises(NotMigrated, match="newer than this version"):
        await require_newest(empty_owner_url)


def _run_core(database_url: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TAPWIRE_DATABASE_URL": database_url, **settings}
    command = [sys.executable, "-m", "tapwire_core", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_the_core_does_not_start_on_a_database_that_is_not_migrated(empty_owner_url: str) -> None:
    ended = await asyncio.to_thread(_run_core, empty_owner_url, "run", TAPWIRE_BROKER_URL="mqtt://127.0.0.1:1")

    assert ended.returncode == 1
    assert "run `tapwire-core migrate`" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.lasts
async def test_the_commands_set_a_house_up_and_prove_its_books(empty_owner_url: str, empty_database_url: str) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        owner = {"TAPWIRE_OWNER_DATABASE_URL": empty_owner_url} if arguments[0] == "migrate" else {}
        return _run_core(empty_database_url, *arguments, **owner)

    migrated = await asyncio.to_thread(run, "migrate")
    user = await asyncio.to_thread(run, "create-user", "eve", "--role", "engineer")
    again = await asyncio.to_thread(run, "create-user", "eve", "--role", "engineer")
    elsewhere = await asyncio.to_thread(run, "create-user", "ann", "--role", "operator", "--venues", "bar, club")
    device = await asyncio.to_thread(run, "add-device", "bar/taps/left")
    checked = await asyncio.to_thread(run, "check")

    assert migrated.returncode == 0, migrated.stderr
    assert "Password, shown once: " in user.stdout, user.stderr
    assert again.returncode == 1
    assert (elsewhere.returncode, "There is no venue 'bar'" in elsewhere.stderr) == (1, True)
    assert "secret, shown once: " in device.stdout, device.stderr
    assert (checked.returncode, checked.stdout) == (0, "The books balance.\n")


async def test_the_books_check_names_what_differs(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO guests (guest_id, first_name, balance_minor) VALUES (gen_random_uuid(), 'Ann', 500)")
    await connection.close()

    checked = await asyncio.to_thread(_run_core, database_url, "check")

    assert checked.returncode == 1
    assert "balance = sum of movements" in checked.stdout
    assert "should be 0, is 500" in checked.stdout


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("TAPWIRE_DATABASE_URL", "mysql://x", "TAPWIRE_DATABASE_URL"),
        ("TAPWIRE_MAX_REPORT_ML", "much", "TAPWIRE_MAX_REPORT_ML"),
        ("TAPWIRE_SYNC_TIMEOUT_MS", "1000", "TAPWIRE_SYNC_TIMEOUT_MS"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(setting: str, value: str, said: str) -> None:
    ended = _run_core("postgresql://nobody@127.0.0.1:1/x", "check", **{setting: value})

    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("content", [b"mysql://from-the-file\n", codecs.BOM_UTF8 + b"mysql://from-the-file\r\n"])
def test_a_secret_can_come_from_a_file(tmp_path: Any, content: bytes) -> None:
    secret = tmp_path / "url"
    secret.write_bytes(content)
    environment = {key: value for key, value in os.environ.items() if key != "TAPWIRE_DATABASE_URL"}

    ended = subprocess.run(
        [sys.executable, "-m", "tapwire_core", "check"],
        env={**environment, "TAPWIRE_DATABASE_URL_FILE": str(secret)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "TAPWIRE_DATABASE_URL: String should match pattern" in ended.stderr
    assert "ufeff" not in ended.stderr


async def test_what_lists_a_taps_pours_cannot_be_what_finds_its_pending_one(owner_db: Database) -> None:
    listing = "EXPLAIN SELECT pour_id FROM pours WHERE tap_path COLLATE \"C\" = 'bar/taps/left' ORDER BY authorized_at"
    pending = "EXPLAIN SELECT pour_id FROM pours WHERE tap_path = 'bar/taps/left' AND sync_status = 'pending_sync'"
    async with owner_db.transaction() as store:
        await store.connection.execute("SET LOCAL enable_seqscan = off; DROP INDEX uq_pours_tap_lease")
        plans = ["\n".join(row[0] for row in await store.connection.fetch(query)) for query in (listing, pending)]

    assert ["ix_pours_tap" in plan for plan in plans] == [True, False]


async def test_what_counts_against_a_limit_is_found_by_its_own_index_alone(owner_db: Database) -> None:
    counting = "EXPLAIN SELECT used FROM served('00000000-0000-0000-0000-000000000000', 'bar', 'volume', 60, NULL)"
    async with owner_db.transaction() as store:
        await store.connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        own = "\n".join(row[0] for row in await store.connection.fetch(counting))
        await store.connection.execute("DROP INDEX ix_pours_served")
        without = "\n".join(row[0] for row in await store.connection.fetch(counting))

    (found_by,) = (line for line in own.splitlines() if "Index Cond" in line and "authorized_at" in line)
    assert all(part in found_by for part in ("guest_id =", "venue_id)::text =", "armed_at =", "AT TIME ZONE"))
    assert not [line for line in without.splitlines() if "Index Cond" in line and "authorized_at" in line]
