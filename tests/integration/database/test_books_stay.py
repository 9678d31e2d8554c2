"""The audit log and the books are only ever added to, and the database itself sees to it."""

import asyncpg
import pytest

from tapwire_core.db.engine import Database
from tapwire_core.db.roles import ONLY_ADDED_TO
from tapwire_core.db.schema import migrate, require_newest
from tapwire_core.db.writes import books
from tapwire_core.domain.calibrations import Measurement
from tapwire_core.domain.closed_sets import CleaningKind, Role
from tapwire_core.services import shifts, venues, visits
from tapwire_core.services.books import check_books
from tapwire_core.services.calibrations import calibrate_tap
from tapwire_core.services.cleanings import record_cleaning
from tapwire_core.services.shift_cash import count_drawer
from tapwire_demo.postgres import APPLICATION, USERNAME
from tests.venue import OPERATOR, Venue

CHANGES = ("UPDATE {} SET {} = 'nobody'", "DELETE FROM {}", "TRUNCATE {} CASCADE")
NAME_IN = {"shift_counts": "counted_by", "calibrations": "calibrated_by", "tap_cleanings": "cleaned_by"}
"""The columns that name a person, where it is not `actor`."""


@pytest.mark.parametrize("table", ONLY_ADDED_TO)
async def test_no_row_of_the_books_can_be_changed_not_even_by_their_owner(venue: Venue, owner_db: Database, table: str) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.report(await venue.grant(ann), 100)
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)
    await shifts.close_shift(venue.db, OPERATOR, venue.venue_id)
    await venues.change_venue(venue.db, OPERATOR, venue.venue_id, count_cash=True)
    shift_id = await shifts.open_shift(venue.db, OPERATOR, venue.venue_id)
    await count_drawer(venue.db, OPERATOR, Role.OPERATOR, shift_id, 0)
    await record_cleaning(venue.db, OPERATOR, venue.tap.path, CleaningKind.RINSE)
    await calibrate_tap(venue.db, OPERATOR, venue.tap.path, Measurement(1_000, 1_020, 450))
    before = await venue.db.pool.fetch(f"SELECT * FROM {table}")

    for change in CHANGES:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="a correction is a new row"):
            await owner_db.pool.execute(change.format(table, NAME_IN.get(table, "actor")))

    assert await venue.db.pool.fetch(f"SELECT * FROM {table}") == before != []


@pytest.mark.parametrize("table", ONLY_ADDED_TO)
async def test_the_programs_role_has_no_right_to_try(venue: Venue, table: str) -> None:
    for change in (*CHANGES, "ALTER TABLE {} DISABLE TRIGGER ALL", "DROP TABLE {}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"permission denied|must be owner"):
            await venue.db.pool.execute(change.format(table, NAME_IN.get(table, "actor")))


@pytest.mark.parametrize(
    "wanted",
    [
        "CREATE TABLE public.theirs (n int)",
        "CREATE FUNCTION public.theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE theirs SUPERUSER",
        "ALTER TABLE guests ADD COLUMN theirs int",
        "DROP FUNCTION lock_together(jsonb, integer)",
        "DROP INDEX uq_incidents_cause",
        "UPDATE alembic_version SET version_num = '0'",
        "SET session_replication_role = replica",
        "COPY guests TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
async def test_the_programs_role_may_change_no_schema_and_reach_nothing_outside(db: Database, wanted: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.pool.execute(wanted)


async def test_the_tests_work_by_the_role_that_programs_work_by(db: Database, owner_db: Database) -> None:
    asked = "SELECT current_user, (SELECT tableowner FROM pg_tables WHERE tablename = 'guests')"

    ours, theirs = await db.pool.fetchrow(asked), await owner_db.pool.fetchrow(asked)

    assert tuple(ours) == (APPLICATION, USERNAME)
    assert tuple(theirs) == (USERNAME, USERNAME)


async def test_a_mistake_that_is_everywhere_is_told_of_the_first_places_only(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "MAX_DIFFERENCES_PER_RULE", 2)
    for _ in range(4):
        await venue.guest()
    await venue.db.pool.execute("UPDATE guests SET balance_minor = 1")

    told = await check_books(venue.db)

    assert [found.rule for found in told] == ["balance = sum of movements"] * 2
    await venue.db.pool.execute("UPDATE guests SET balance_minor = 0")


async def test_migrating_again_makes_the_role_once(empty_owner_url: str, empty_database_url: str) -> None:
    for _ in range(2):
        await migrate(empty_owner_url, empty_database_url)

    await require_newest(empty_database_url)
