"""A backup, and what becomes of money and beer when the database is set back to it while taps went on."""

import json
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from tapwire_contracts.messages import PourCompleted
from tapwire_contracts.reasons import Resolution
from tapwire_core.db.backup import BackupRefused, load_backup, write_backup
from tapwire_core.db.engine import Database
from tapwire_core.db.views.restore import read_restore_report
from tapwire_core.domain.policy import Policy
from tapwire_core.errors import Invalid
from tapwire_core.services.books import check_books
from tapwire_core.services.incidents import resolve_incident
from tapwire_core.services.nodes import ask_for_reports
from tapwire_core.services.restore import begin_after_restore, settle_journal
from tests.command_line import command, done
from tests.venue import OPERATOR, Venue

AT_ONCE = Policy(start_window_ms=1)


async def test_pours_after_the_backup_are_charged_once_or_left_to_a_person_and_no_beer_is_lost(
    venue: Venue, empty_owner_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    ann, bob, cleo = [await venue.guest(balance_minor=300_00) for _ in range(3)]
    left, right = venue.tap, await venue.another_tap("right")
    before = await venue.grant(bob)
    first = left.report(before.pour_id, before.card_uid, 100)
    await venue.deliver(first)
    pending = await venue.grant(ann)
    backup = await write_backup(venue.db.url, tmp_path / "backup")

    # what the backup knows as pending is settled; two pours are neither known nor, of one of them, settled
    settled_after = left.report(pending.pour_id, pending.card_uid, 200)
    await venue.deliver(settled_after)
    unknown = await venue.grant(bob)
    unknown_report = left.report(unknown.pour_id, unknown.card_uid, 50)
    await venue.deliver(unknown_report)
    unsettled = await venue.grant(cleo, right)
    unsettled_report = right.report(unsettled.pour_id, unsettled.card_uid, 70)

    async with restored(venue, empty_owner_url, empty_database_url, tmp_path / "backup") as again:
        assert await again.balance(ann) == (300_00, pending.max_volume_ml * 50)
        assert (await again.denial(bob)).value == "processing_sync"
        assert [asked.pour_id for asked in await ask_for_reports(again.db, 1)] == [pending.pour_id]

        verdicts = [await again.deliver(settled_after) for _ in range(2)]
        missing = await again.deliver(unsettled_report, right)
        settled = await settle_journal(again.db, OPERATOR, left.path, exported(first, settled_after, unknown_report))
        for tap in (left, right):
            await again.idle(tap)

        assert {verdict.outcome for verdict in verdicts} == {"pending_updated_to_synced"}
        assert missing.outcome == "audit_missing_pending"
        assert [fact.outcome for fact in settled] == [
            "pending_updated_to_synced",
            "pending_updated_to_synced",
            "audit_missing_pending",
        ]
        assert [await again.balance(guest) for guest in (ann, bob)] == [(200_00, 0), (250_00, 0)]
        assert await again.keg_ml() == 50_000 - 100 - 200 - 50
        incidents = await again.incidents("missing_pending")
        assert {incident["pour_id"] for incident in incidents} == {unknown.pour_id, unsettled.pour_id}
        assert await again.incidents("volume_gap") == []
        report = await read_restore_report(again.db)
        assert report is not None
        assert report.taken_at == backup.taken_at
        assert not report.waiting_pours
        assert len(report.incidents) == 2
        assert {known.action for known in report.last_known} >= {"top_up", "visit_opened", "shift_opened"}

        owed = next(incident for incident in incidents if incident["pour_id"] == unknown.pour_id)
        owed_id = UUID(str(owed["incident_id"]))
        await resolve_incident(
            again.db, OPERATOR, owed_id, resolution=Resolution.CHARGED, comment="his card", visit_id=bob.visit_id
        )
        assert await again.balance(bob) == (225_00, 0)


async def test_what_no_node_brings_back_shows_as_a_hole_with_its_volume(
    venue: Venue, empty_owner_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    ann = await venue.guest(balance_minor=300_00)
    await venue.report(await venue.grant(ann), 100)
    await venue.idle()
    await write_backup(venue.db.url, tmp_path / "backup")
    await venue.report(await venue.grant(ann), 150)

    async with restored(venue, empty_owner_url, empty_database_url, tmp_path / "backup") as again:
        await again.idle()

        (gap,) = await again.incidents("volume_gap")
        assert "150" in str(gap["details"])
        assert await again.keg_ml() == 50_000 - 250


async def test_a_restored_database_has_every_row_and_goes_on_counting(
    venue: Venue, empty_owner_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    ann = await venue.guest(balance_minor=300_00)
    await venue.report(await venue.grant(ann), 100)
    before = await rows(venue.db)
    await write_backup(venue.db.url, tmp_path / "backup")

    await load_backup(empty_owner_url, tmp_path / "backup", empty_database_url)

    async with Database.open(empty_database_url, Policy()) as db:
        assert await rows(db) == before
        again = replace(venue, db=db)
        await again.report(await again.grant(ann), 100)
        assert await check_books(db) == []
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600


async def test_a_damaged_or_newer_file_and_a_database_with_rows_are_refused_and_change_nothing(
    venue: Venue, owner_url: str, empty_owner_url: str, tmp_path: Path
) -> None:
    whole = tmp_path / "backup"
    await write_backup(venue.db.url, whole)
    half, forged, newer = (tmp_path / name for name in ("half", "forged", "newer"))
    half.write_bytes(whole.read_bytes()[:-500])
    rewritten(whole, forged, "taps.copy", lambda content: content.replace(b"left", b"lost"))
    rewritten(whole, newer, "manifest.json", lambda content: content.replace(b'"revision": "0', b'"revision": "9'))

    for file, said in ((half, "damaged"), (forged, "damaged in taps"), (newer, "newer"), (tmp_path / "none", "no backup")):
        with pytest.raises(BackupRefused, match=said):
            await load_backup(empty_owner_url, file)
    with pytest.raises(BackupRefused, match="has rows already"):
        await load_backup(owner_url, whole)

    connection = await asyncpg.connect(empty_owner_url)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await connection.close()


async def test_a_line_that_is_no_fact_books_nothing(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    good = venue.tap.report(grant.pour_id, ann.card_uid, 100)

    with pytest.raises(Invalid, match="Line 2"):
        await settle_journal(venue.db, OPERATOR, venue.tap.path, [*exported(good), "{}"])

    assert (await venue.pour(grant.pour_id))["sync_status"] == "pending_sync"


@pytest.mark.lasts
async def test_the_commands_back_up_restore_and_say_what_is_open(
    venue: Venue, empty_owner_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    grant = await venue.grant(await venue.guest(balance_minor=300_00))
    journal = tmp_path / "journal.jsonl"
    journal.write_text("\n".join(exported(venue.tap.report(grant.pour_id, grant.card_uid, 100))))
    new = {"TAPWIRE_DATABASE_URL": empty_database_url, "TAPWIRE_OWNER_DATABASE_URL": empty_owner_url}

    said = await done("tapwire_core", "backup", tmp_path / "backup", TAPWIRE_DATABASE_URL=venue.db.url)
    restored_said = await done("tapwire_core", "restore", tmp_path / "backup", **new)
    settled = await done("tapwire_core", "settle-journal", venue.tap.path, journal, **new)
    report = await done("tapwire_core", "restore-report", **new)
    refused = await command("tapwire_core", "restore", tmp_path / "backup", **new)
    naive = await command("tapwire_core", "after-restore", "2026-05-01T20:00:00", **new)

    assert "rows as of" in said
    assert f"pour {grant.pour_id}" in restored_said
    assert "pending_updated_to_synced: 1\n1 facts, 100 ml." in settled
    assert f"pour {grant.pour_id}" not in report
    assert "top_up" in report
    assert (refused.code, "has rows already" in refused.errors) == (1, True)
    assert "time zone" in naive.errors
    assert "never restored" in await done("tapwire_core", "restore-report", TAPWIRE_DATABASE_URL=venue.db.url)


@asynccontextmanager
async def restored(venue: Venue, owner_url: str, database_url: str, file: Path) -> AsyncIterator[Venue]:
    """The same venue and its taps, on a database that was set back."""
    manifest = await load_backup(owner_url, file, database_url)
    async with Database.open(database_url, AT_ONCE) as db:
        await begin_after_restore(db, OPERATOR, manifest.taken_at)
        assert await check_books(db) == []
        yield replace(venue, db=db)
        assert await check_books(db) == []


def exported(*reports: PourCompleted) -> list[str]:
    """Reports as `tapwire-node journal export` prints them."""
    return [
        json.dumps(
            {
                "number": number,
                "fact_id": str(report.pour_id),
                "kind": "pour",
                "card_uid": report.card_uid,
                "cause": None,
                "started_at": report.started_at,
                "duration_ms": report.duration_ms,
                "ended": 1,
                "end_reason": report.end_reason.value,
                "interrupted": 0,
                "odometer_from_ml": report.odometer_from_ml,
                "odometer_to_ml": report.odometer_to_ml,
                "journal_id": str(report.journal_id),
                "boot_id": str(report.boot_id),
                "verdict": {"outcome": "pending_updated_to_synced"},
            }
        )
        for number, report in enumerate(reports, start=1)
    ]


async def rows(db: Database) -> dict[str, str]:
    """Every table as text, sorted."""
    names = [
        row["tablename"] for row in await db.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    ]
    return {name: await db.pool.fetchval(f'SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM "{name}" t') for name in names}


def rewritten(source: Path, target: Path, member: str, change: Callable[[bytes], bytes]) -> None:
    """A copy of a backup in which one member is another."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == member else old.read(name))
