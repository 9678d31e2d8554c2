"""Databases and backups of the development versions before the first release are refused with one clear sentence."""

import zipfile
from pathlib import Path

import asyncpg
import msgspec
import pytest

from tapwire_core.db.backup import BackupRefused, load_backup, write_backup
from tapwire_core.db.schema import BEFORE_RELEASE, migrate
from tapwire_core.errors import NotMigrated
from tapwire_demo.postgres import embedded_postgres, remove_postgres
from tests.command_line import command
from tests.running_demo import RunningDemo
from tests.venue import Venue

OLD = "0012"
ADVICE = "export what you need with the version that made it, and begin with an empty database."


async def make_old(url: str, revision: str = OLD) -> None:
    """Give a database the mark of a revision of before."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        f"""CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
            INSERT INTO alembic_version VALUES ('{revision}');
            CREATE TABLE pours (pour_id uuid)"""
    )
    await connection.close()


async def tables(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    found = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
    )
    await connection.close()
    return [row["relname"] for row in found]


@pytest.mark.parametrize("revision", sorted(BEFORE_RELEASE))
async def test_no_old_revision_can_be_migrated(empty_owner_url: str, revision: str) -> None:
    await make_old(empty_owner_url, revision)

    with pytest.raises(NotMigrated, match=f"at revision '{revision}', of a version before the first release"):
        await migrate(empty_owner_url)

    assert await tables(empty_owner_url) == ["alembic_version", "pours"]


@pytest.mark.parametrize("told", ["migrate", "run", "check", "backup"])
async def test_commands_on_an_old_database_say_what_to_do(empty_owner_url: str, told: str, tmp_path: Path) -> None:
    await make_old(empty_owner_url)
    settings = {"TAPWIRE_DATABASE_URL": empty_owner_url, "TAPWIRE_BROKER_URL": "mqtt://127.0.0.1:1"}
    arguments = [tmp_path / "backup"] if told == "backup" else []

    ended = await command("tapwire_core", told, *arguments, **settings)

    assert ended.code == 1
    (line,) = [line for line in ended.errors.splitlines() if line.startswith("tapwire-core: ")]
    assert OLD in line
    assert line.endswith(ADVICE)
    assert "Traceback" not in ended.errors


async def test_a_backup_of_an_old_revision_is_refused_and_changes_nothing(
    venue: Venue, empty_owner_url: str, tmp_path: Path
) -> None:
    await write_backup(venue.db.url, tmp_path / "backup")
    with zipfile.ZipFile(tmp_path / "backup") as source, zipfile.ZipFile(tmp_path / "old", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "manifest.json":
                content = msgspec.json.encode(msgspec.json.decode(content) | {"revision": OLD})
            target.writestr(name, content)

    with pytest.raises(BackupRefused, match="revision '0012', before the first release: restore it with the version that wrote it"):
        await load_backup(empty_owner_url, tmp_path / "old")

    assert await tables(empty_owner_url) == []


async def test_a_backup_is_not_restored_into_an_old_database(venue: Venue, empty_owner_url: str, tmp_path: Path) -> None:
    await write_backup(venue.db.url, tmp_path / "backup")
    await make_old(empty_owner_url)

    with pytest.raises(BackupRefused, match="at revision '0012': restore into a new, empty one"):
        await load_backup(empty_owner_url, tmp_path / "backup")


async def test_the_demo_on_old_data_says_how_to_delete_them(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    async with embedded_postgres(folder) as postgres:
        await make_old(postgres.url)

    demo = RunningDemo(folder)
    code = demo.process.wait(timeout=60)

    assert code == 1, demo.output
    assert "make demo: the demo's data are of another version: delete them with `make demo-reset`" in demo.output
    assert "Traceback" not in demo.output
    await remove_postgres(folder)
