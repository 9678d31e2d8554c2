"""Programs beat in the database; the last process of one that is gone is an incident, until it is back."""

import asyncio
import json
from pathlib import Path

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.db.views.system import list_programs
from tapwire_core.db.writes.heartbeats import MISSED_BEATS
from tapwire_core.domain.closed_sets import Program
from tapwire_core.domain.retention import RetentionPeriods
from tapwire_core.services.heartbeats import beat
from tapwire_core.services.retention import delete_expired
from tests.command_line import done as ran
from tests.command_line import running
from tests.integration.commands.test_metrics import looked_at
from tests.rest import Rest, done
from tests.venue import Venue

WITHIN_S = 20.0


async def pass_time(db: Database, beats: float, *programs: Program) -> None:
    """Let the heartbeats of these programs, or of all, be older by so many beats."""
    await db.pool.execute(
        """UPDATE program_heartbeats SET beat_at = beat_at - $1::float8 * interval_ms * interval '1 millisecond',
               started_at = started_at - $1::float8 * interval_ms * interval '1 millisecond'
           WHERE program = ANY($2)""",
        beats,
        list(programs or Program),
    )


async def live_long(db: Database, program: Program, instance: str) -> None:
    """Let this process beat for as long as others may miss beats."""
    for _ in range(2 * MISSED_BEATS):
        await beat(db, program, instance)
        await pass_time(db, 0.9, program)
    await beat(db, program, instance)


async def test_a_program_without_a_process_is_one_incident_and_its_return_resolves_it(venue: Venue) -> None:
    await live_long(venue.db, Program.BACKUP, "backup-1")
    for instance in ("core-1", "core-2"):
        await beat(venue.db, Program.CORE, instance)
    await pass_time(venue.db, MISSED_BEATS + 1, Program.CORE)

    for _ in range(2):
        await beat(venue.db, Program.BACKUP, "backup-1")
    (incident,) = await venue.incidents("program_missing")
    await beat(venue.db, Program.CORE, "core-3")

    assert json.loads(str(incident["details"]))["program"] == "core"
    assert await venue.incidents("program_missing") == []
    assert (await venue.audited("incident_raised"), await venue.audited("incident_resolved")) == (1, 1)


async def test_one_of_two_workers_may_go(venue: Venue) -> None:
    await beat(venue.db, Program.CORE, "core-1")
    await pass_time(venue.db, MISSED_BEATS + 1)
    await live_long(venue.db, Program.CORE, "core-2")

    assert await venue.incidents("program_missing") == []
    assert {one.instance: one.running for one in await list_programs(venue.db)} == {"core-2": True, "core-1": False}


async def test_after_an_outage_of_the_database_the_first_program_back_reports_nobody(venue: Venue) -> None:
    await live_long(venue.db, Program.CORE, "core-1")
    await beat(venue.db, Program.SYNC_BROKER, "broker-1")
    await pass_time(venue.db, 100)

    await beat(venue.db, Program.CORE, "core-1")

    assert await venue.incidents("program_missing") == []


async def test_an_incident_that_a_person_resolved_is_not_raised_again(venue: Venue, rest: Rest) -> None:
    await live_long(venue.db, Program.CORE, "core-1")
    await beat(venue.db, Program.BACKUP, "backup-1")
    await pass_time(venue.db, 100_000, Program.BACKUP)
    await beat(venue.db, Program.CORE, "core-1")
    (incident,) = done(await rest.operator.get("/api/incidents?status=open"))["items"]
    resolved = {"resolution": "no_action", "comment": "backups are made elsewhere now"}
    done(await rest.shift_lead.post(f"/api/incidents/{incident['incident_id']}/resolve", json=resolved))

    await beat(venue.db, Program.CORE, "core-1")

    assert await venue.incidents("program_missing") == []
    assert (await delete_expired(venue.db, RetentionPeriods()))["program_heartbeats"] == 1


async def test_old_heartbeats_go_but_for_the_last_of_a_program(venue: Venue) -> None:
    for instance in ("core-1", "core-2"):
        await beat(venue.db, Program.CORE, instance)
        await pass_time(venue.db, 10_000)

    assert (await delete_expired(venue.db, RetentionPeriods()))["program_heartbeats"] == 1
    assert {one.instance for one in await list_programs(venue.db)} == {"core-2"}


async def test_the_metrics_and_the_status_show_each_program(venue: Venue, rest: Rest) -> None:
    await beat(venue.db, Program.CORE, "core-1")
    await pass_time(venue.db, 1)

    lines = await looked_at(venue)
    (shown,) = done(await rest.operator.get("/api/system/status"))["programs"]
    page = (await rest.engineer.get("/devices")).text

    assert 9 < lines['tapwire_program_heartbeat_age_seconds{program="core"}'] < 10 + WITHIN_S
    assert (shown["program"], shown["instance"], shown["running"]) == ("core", "core-1", True)
    assert "core-1" in page


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        (Program.SYNC_BROKER, ("sync-broker", "--file", "devices")),
        (Program.BACKUP, ("backup", ".", "--each-h", "24")),
    ],
)
async def test_a_program_that_runs_for_ever_beats(
    db: Database, database_url: str, tmp_path: Path, program: Program, arguments: tuple[str, ...]
) -> None:
    given = [tmp_path / argument if argument in ("devices", ".") else argument for argument in arguments]
    async with (
        running("tapwire_core", *given, TAPWIRE_DATABASE_URL=database_url, TAPWIRE_HEARTBEAT_MS="100"),
        asyncio.timeout(WITHIN_S),
    ):
        while not [one for one in await list_programs(db) if one.program is program and one.beat_at > one.started_at]:
            await asyncio.sleep(0.05)


async def test_a_backup_that_does_not_come_is_an_incident_until_the_next_one(
    venue: Venue, database_url: str, tmp_path: Path
) -> None:
    await live_long(venue.db, Program.CORE, "core-1")
    await ran("tapwire_core", "backup", tmp_path, TAPWIRE_DATABASE_URL=database_url)
    await venue.db.pool.execute(
        "UPDATE program_heartbeats SET beat_at = beat_at - interval '25 hours' WHERE program = 'recent-backup'"
    )
    await beat(venue.db, Program.CORE, "core-1")
    in_time = await venue.incidents("program_missing")

    await venue.db.pool.execute(
        "UPDATE program_heartbeats SET beat_at = beat_at - interval '2 hours' WHERE program = 'recent-backup'"
    )
    await beat(venue.db, Program.CORE, "core-1")
    late = await venue.incidents("program_missing")
    await ran("tapwire_core", "backup", tmp_path, TAPWIRE_DATABASE_URL=database_url)

    assert (in_time, len(late)) == ([], 1)
    assert await venue.incidents("program_missing") == []
