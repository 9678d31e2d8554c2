"""The database's clock is set back by a day: no wait lasts longer than it may, and nothing stays stuck until then."""

from tapwire_core.db.engine import Database
from tapwire_core.db.writes.heartbeats import MISSED_BEATS, raise_missing_programs
from tapwire_core.domain.closed_sets import Program
from tapwire_core.services.heartbeats import beat
from tapwire_core.services.nodes import ask_for_reports
from tapwire_core.services.pairings import MAX_OPEN_PAIRINGS
from tapwire_core.services.pour_recovery import force_unlock
from tests.rest import Rest, done, refusal
from tests.venue import OPERATOR, Venue

A_DAY = "interval '24 hours'"


async def set_back(db: Database, table: str, *columns: str) -> None:
    """Let these times of a table be as if they had been written before the clock was set back."""
    await db.pool.execute(f"UPDATE {table} SET " + ", ".join(f"{column} = {column} + {A_DAY}" for column in columns))


async def test_a_pour_is_asked_for_at_once_and_is_an_incident(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    assert await ask_for_reports(venue.db, 10_000) == []
    await set_back(venue.db, "pours", "authorized_at")

    (asked,) = await ask_for_reports(venue.db, 10_000)

    assert asked.pour_id == grant.pour_id
    assert len(await venue.incidents("sync_timeout")) == 1
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="done")


async def test_a_session_ends_instead_of_lasting_a_day_longer(rest: Rest, db: Database) -> None:
    done(await rest.operator.get("/api/me"))
    await set_back(db, "sessions", "created_at", "expires_at")

    refusal(await rest.operator.get("/api/me"), 401, "login_required")


async def test_a_code_for_pairing_ends_and_gives_its_place_free(rest: Rest, db: Database) -> None:
    asked = [done(await rest.nobody.post("/api/devices/pairings"), 201) for _ in range(MAX_OPEN_PAIRINGS)]
    refusal(await rest.nobody.post("/api/devices/pairings"), 409, "too_many_pairings")
    await set_back(db, "device_pairings", "expires_at")

    accepted = {"code": asked[0]["code"], "path": "bar/taps/left"}
    refusal(await rest.engineer.post("/api/devices/pairings/accept", json=accepted), 404, "not_found")
    done(await rest.nobody.post("/api/devices/pairings"), 201)


async def test_a_program_that_beat_last_in_the_future_is_missing_once_and_a_living_one_is_not(venue: Venue) -> None:
    await beat(venue.db, Program.BACKUP, "backup-1")
    for instance in ("core-1", "core-2"):
        await beat(venue.db, Program.CORE, instance)
    await set_back(venue.db, "program_heartbeats", "beat_at", "started_at")
    await beat(venue.db, Program.CORE, "core-2")

    for _ in range(2):
        async with venue.db.transaction() as store:
            await raise_missing_programs(store)
        await venue.db.pool.execute("UPDATE incidents SET status = 'resolved', resolution = 'no_action', resolved_at = now()")

    assert MISSED_BEATS * venue.db.policy.heartbeat_ms < 24 * 3_600_000
    found = await venue.db.pool.fetch("SELECT details->>'program' AS program FROM incidents WHERE kind = 'program_missing'")
    assert [row["program"] for row in found] == ["backup"]
