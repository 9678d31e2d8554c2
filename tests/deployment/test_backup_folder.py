"""`tapwire-core backup FOLDER`, as the timer and the compose service run it: what it made can be restored, and its age is told."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tapwire_core.commands.backup_folder import BackupCollector, back_up_periodically, list_backups
from tapwire_core.db.backup import write_backup
from tests.command_line import command, done, running
from tests.venue import Venue

WITHIN_S = 60.0
OLD = ("tapwire-20200101T000000Z.backup", "tapwire-20200102T000000Z.backup")


async def test_what_the_nightly_backup_made_is_restored_and_its_books_balance(
    venue: Venue, empty_owner_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    await venue.guest(balance_minor=50_00)

    await done("tapwire_core", "backup", tmp_path, "--keep", "2", TAPWIRE_DATABASE_URL=venue.db.url)
    [backup] = list_backups(tmp_path)
    urls = {"TAPWIRE_DATABASE_URL": empty_database_url, "TAPWIRE_OWNER_DATABASE_URL": empty_owner_url}
    await done("tapwire_core", "restore", backup, **urls)

    checked = await done("tapwire_core", "check", TAPWIRE_DATABASE_URL=empty_database_url)
    assert "The books balance." in checked


async def test_only_the_newest_are_kept_and_files_of_other_names_are_left_alone(venue: Venue, tmp_path: Path) -> None:
    for name in (*OLD, "before-the-move.backup"):
        (tmp_path / name).write_text("old")

    await done("tapwire_core", "backup", tmp_path, "--keep", "2", TAPWIRE_DATABASE_URL=venue.db.url)

    oldest, newest = list_backups(tmp_path)
    assert (oldest.name, newest.name > OLD[1]) == (OLD[1], True)
    assert (tmp_path / "before-the-move.backup").exists()


async def test_the_service_makes_one_at_once_and_none_while_the_newest_is_young(venue: Venue, tmp_path: Path) -> None:
    async with running("tapwire_core", "backup", tmp_path, "--each-h", "24", TAPWIRE_DATABASE_URL=venue.db.url) as process:
        ends = time.monotonic() + WITHIN_S
        while not list_backups(tmp_path):
            assert process.returncode is None
            assert time.monotonic() < ends
            await asyncio.sleep(0.1)

    async def take(file: Path) -> None:
        await write_backup(venue.db.url, file)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await back_up_periodically(tmp_path, 24, take)
    assert len(list_backups(tmp_path)) == 1


async def test_keeping_needs_a_folder(venue: Venue, tmp_path: Path) -> None:
    ended = await command("tapwire_core", "backup", tmp_path / "one.backup", "--keep", "2", TAPWIRE_DATABASE_URL=venue.db.url)

    assert ended.code == 1
    assert "--keep and --each-h need a folder" in ended.errors


@pytest.mark.parametrize("made_at", [None, 1_700_000_000.0])
def test_the_metric_is_the_time_of_the_newest_or_0_without_one(made_at: float | None, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(BackupCollector(tmp_path))
    if made_at is not None:
        for name, age_s in zip(OLD, (3600, 0), strict=True):
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (made_at - age_s, made_at - age_s))

    assert registry.get_sample_value("tapwire_last_backup_timestamp_seconds") == (made_at or 0)
