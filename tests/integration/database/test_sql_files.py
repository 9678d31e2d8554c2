"""The functions, views and triggers of `db/sql`: `migrate` makes the database's what the files say, while workers pour."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from tapwire_core.db import engine, schema
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate, newest_revision, require_newest
from tapwire_core.db.sql_files import KINDS, SQL, VENUE_VIEWS
from tapwire_core.errors import NotMigrated
from tests.venue import Guest, SimulatedTap, Venue

CATALOGUE: Final = """
    SELECT proname AS name, pg_get_functiondef(oid) AS definition FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT relname, pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
    UNION ALL
    SELECT 'of_venues.' || relname, pg_get_viewdef(oid) FROM pg_class
    WHERE relnamespace = to_regnamespace('of_venues') AND relkind = 'v'
    UNION ALL
    SELECT tgrelid::regclass || '.' || tgname, concat(tgenabled, pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1, 2"""
"""The database's functions, views and triggers."""
VERSIONS: Final = """
    SELECT 'function', oid, xmin::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'view', ev_class, rule.xmin::text FROM pg_rewrite rule JOIN pg_class ON pg_class.oid = ev_class
    WHERE relnamespace IN ('public'::regnamespace, 'of_venues'::regnamespace)
    UNION ALL
    SELECT 'trigger', oid, xmin::text FROM pg_trigger
    UNION ALL
    SELECT 'comment', objoid, xmin::text FROM pg_description
    ORDER BY 1, 2"""
"""Which version each row of the catalogue is."""
BY_HAND: Final = (
    "ALTER FUNCTION lock_together(jsonb, integer) RESET enable_bitmapscan",
    "ALTER FUNCTION question_facts(jsonb) VOLATILE",
    "CREATE OR REPLACE FUNCTION share_open_shift(asked_tap text) RETURNS void LANGUAGE sql AS 'SELECT'",
    """DROP FUNCTION share_open_shift(text);
       CREATE FUNCTION share_open_shift(asked_tap text) RETURNS boolean LANGUAGE sql AS 'SELECT true'""",
    "DROP FUNCTION lock_pour(uuid)",
    "CREATE FUNCTION lock_pour(asked_pour text) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'",
    "CREATE OR REPLACE VIEW tap_now AS SELECT tap_path, NULL::jsonb AS facts FROM taps",
    "CREATE OR REPLACE VIEW tap_now AS SELECT tap_path, NULL::jsonb AS facts, 1 AS one FROM taps",
    "DROP VIEW pour_facts",
    "ALTER TABLE audit DISABLE TRIGGER rows_stay_as_they_are",
    "DROP TRIGGER new_incident_is_audited ON incidents",
    "DROP VIEW of_venues.visits",
    "CREATE OR REPLACE VIEW of_venues.pours AS SELECT * FROM public.pours",
    "CREATE OR REPLACE TRIGGER rows_stay_as_they_are BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change()",
)
TAPS: Final = 4
POURS: Final = 40
"""At each tap, at least; the pours go on until everything was replaced often enough."""
REPLACED: Final = 6


async def fetch(url: str, query: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The files of a version after this one: each body is another, one function's signature too, and a view has one more column."""
    folder = tmp_path / "sql"
    shutil.copytree(SQL, folder)

    def change(name: str, by: Callable[[str], str], *, to: str | None = None) -> None:
        file = folder / name
        before = file.read_text()
        (folder / (to or name)).write_text(by(before))
        assert by(before) != before

    for file in (folder / "functions").iterdir():
        change(f"functions/{file.name}", lambda text: re.sub(r"AS \$\$\n", "AS $$ -- the next version's\n", text))
    change(
        "functions/lock_pour.sql",
        lambda text: text.replace("lock_pour(asked_pour", "lock_pour_2(asked_pour"),
        to="functions/lock_pour_2.sql",
    )
    change("views/tap_now.sql", lambda text: text.replace(" AS facts\n", " AS facts, tap.status\n"))
    change("triggers/incidents.new_incident_is_audited.sql", lambda text: text.replace("EACH ROW", "EACH ROW WHEN (true)"))
    return folder


async def test_a_migrated_database_has_what_the_files_alone_make(owner_url: str, empty_owner_url: str) -> None:
    await migrate(empty_owner_url, revision=newest_revision())
    assert await fetch(empty_owner_url, CATALOGUE) == []

    statements, names = ["SET check_function_bodies = off;"], []
    for kind in KINDS:
        files = sorted((SQL / kind.folder).iterdir())
        statements += [f"SET search_path = {kind.search_path};", *(file.read_text() for file in files)]
        names += [f"{'of_venues.' if kind is VENUE_VIEWS else ''}{file.stem}" for file in files]
    await execute(empty_owner_url, "\n".join(statements))

    made = await fetch(empty_owner_url, CATALOGUE)
    assert made == await fetch(owner_url, CATALOGUE)
    assert [name for name, _ in made] == sorted(names)


async def test_each_body_is_valid(owner_url: str) -> None:
    validated = await fetch(
        owner_url,
        """SELECT CASE lanname WHEN 'sql' THEN fmgr_sql_validator(proc.oid) ELSE plpgsql_validator(proc.oid) END::text
           FROM pg_proc proc JOIN pg_language language ON language.oid = prolang WHERE pronamespace = 'public'::regnamespace""",
    )

    assert len(validated) == len(list((SQL / "functions").iterdir()))


async def test_migrating_again_changes_nothing(owner_url: str) -> None:
    before = await fetch(owner_url, VERSIONS)

    await migrate(owner_url)

    assert await fetch(owner_url, VERSIONS) == before


@pytest.mark.parametrize("statement", BY_HAND)
async def test_what_was_changed_by_hand_is_put_right(owner_url: str, statement: str) -> None:
    before = await fetch(owner_url, CATALOGUE)
    await execute(owner_url, statement)
    assert await fetch(owner_url, CATALOGUE) != before

    await migrate(owner_url)

    assert await fetch(owner_url, CATALOGUE) == before
    await require_newest(owner_url)


async def test_what_has_no_file_is_dropped_and_what_is_not_ours_stays(owner_url: str, next_version: Path) -> None:
    ours = await fetch(owner_url, CATALOGUE)
    theirs = ("theirs", "report_for_the_tax")
    await execute(
        owner_url,
        "CREATE FUNCTION theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW report_for_the_tax AS SELECT count(*) FROM pours",
        "CREATE SCHEMA elsewhere",
        "CREATE FUNCTION elsewhere.lock_pour(pour uuid) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    (next_version / "views/soon_gone.sql").write_text("CREATE OR REPLACE VIEW soon_gone AS SELECT lock_pour_2(pour_id) FROM pours;")

    await migrate(owner_url, sql=next_version)
    there = {name for name, _ in await fetch(owner_url, CATALOGUE)}
    await migrate(owner_url)

    assert there >= {"lock_pour", "lock_pour_2", "soon_gone", *theirs}
    now = await fetch(owner_url, CATALOGUE)
    assert [found for found in now if found[0] not in theirs] == ours
    assert len(now) == len(ours) + len(theirs)
    assert await fetch(owner_url, "SELECT elsewhere.lock_pour(NULL)") == [(1,)]


async def test_several_migrate_at_once_put_the_files_in_place(owner_url: str, next_version: Path) -> None:
    before = await fetch(owner_url, CATALOGUE)
    await migrate(owner_url, sql=next_version)

    await asyncio.gather(*(migrate(owner_url) for _ in range(4)))

    assert await fetch(owner_url, CATALOGUE) == before


async def test_the_applications_role_can_use_what_was_put_in_place(database_url: str, owner_url: str, next_version: Path) -> None:
    await migrate(owner_url, database_url, sql=next_version)

    assert await fetch(database_url, "SELECT status FROM tap_now") == []
    assert await fetch(database_url, "SELECT lock_pour_2(gen_random_uuid())") == [(None,)]


async def test_a_program_does_not_start_on_the_functions_of_another_version(owner_url: str, next_version: Path) -> None:
    await migrate(owner_url, sql=next_version)

    with pytest.raises(NotMigrated, match=r"functions are of another version \(.*lock_together.*\): run `tapwire-core migrate`"):
        await require_newest(owner_url)


async def test_a_table_that_somebody_keeps_locked_ends_migrate_with_a_clear_error(
    owner_url: str, next_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_WAITS_MS", (50, 100))
    before = await fetch(owner_url, CATALOGUE)
    async with reading(owner_url, "tap_now"):
        with pytest.raises(NotMigrated, match="hold locks"):
            await migrate(owner_url, sql=next_version)

    assert await fetch(owner_url, CATALOGUE) == before
    await migrate(owner_url, sql=next_version)
    assert await fetch(owner_url, CATALOGUE) != before


@asynccontextmanager
async def reading(url: str, view: str) -> AsyncIterator[None]:
    """A transaction that has read a view, and does not end."""
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute(f"SELECT FROM {view}")
        yield
    await connection.close()


async def test_workers_of_before_pour_while_migrate_replaces_what_they_use(
    venue: Venue, owner_url: str, database_url: str, next_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "DEADLOCK_RETRIES", 0)  # a deadlock would not be hidden
    taps = [venue.tap, *[await venue.another_tap(f"tap{number}") for number in range(1, TAPS)]]
    guests = [await venue.guest(balance_minor=2_000_00) for _ in taps]
    replaced = asyncio.Event()

    async def pour(tap: SimulatedTap, guest: Guest) -> int:
        for poured in count():
            if poured >= POURS and replaced.is_set():
                return poured
            await venue.report(await venue.grant(guest, tap), 1, tap)
            if poured % 10 == 0:
                await venue.deliver(tap.report(venue.keg_id, guest.card_uid, 1), tap)  # an unknown pour: an incident
        raise AssertionError

    async def replace() -> None:
        try:
            for turn in range(REPLACED):
                await migrate(owner_url, database_url, sql=(next_version, SQL)[turn % 2])
                await asyncio.sleep(0.1)
        finally:
            replaced.set()

    replacing = asyncio.create_task(replace())
    poured = await asyncio.gather(*(pour(tap, guest) for tap, guest in zip(taps, guests, strict=True)))
    await replacing

    assert await venue.sales_minor() == sum(poured) * 50


async def test_a_worker_of_before_calls_the_old_name_of_a_changed_function(
    db: Database, owner_url: str, database_url: str, next_version: Path
) -> None:
    async with db.pool.acquire() as worker:
        old = await worker.prepare("SELECT lock_pour(gen_random_uuid())")
        await migrate(owner_url, database_url, sql=next_version)

        assert await old.fetchval() is None
        assert await worker.fetchval("SELECT lock_pour_2(gen_random_uuid())") is None
