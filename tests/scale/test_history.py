"""A past that SQL makes is one that our programs could have written."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.db.store import Store
from tapwire_core.db.writes.books import Difference, differences
from tapwire_core.domain.policy import Policy
from tapwire_core.services.books import check_books
from tapwire_core.services.kegs import create_keg
from tapwire_core.services.taps import put_keg
from tapwire_core.services.visits import open_and_assign_card
from tapwire_demo.postgres import EmbeddedPostgres
from tests.bench.report import this_machine
from tests.scale.history import HistoryPlan, make_history
from tests.scale.history_figures import measure_sizes, run_core
from tests.scale.history_questions import measure_reports
from tests.scale.partitions import try_partitions
from tests.scale.report import HistoryReport, history_text, partitions_text
from tests.venue import KEG_ML, OPERATOR, Guest, SimulatedTap, Venue

POURS: Final = 2_000
PAST: Final = "with_past"
COPY: Final = "past_copy"
TAP: Final = "venue-000/taps/tap-00"
OF_A_POUR: Final = {
    "pours": "pour_id = $1",
    "authorization_answers": "pour_id = $1",
    "pour_reports": "pour_id = $1",
    "odometer_stretches": "fact_id = $1",
    "money_movements": "pour_id = $1",
    "stock_movements": "cause_id = $1",
    "audit": "subjects @> ARRAY[$1::uuid::text]",
}
"""The tables that a pour writes to, and the condition that a row is of it."""
SABOTAGE: Final = (
    ("UPDATE guests SET balance_minor = balance_minor + 1 WHERE guest_id = ANY(SELECT guest_id FROM pours LIMIT 1)", "balance = "),
    ("UPDATE kegs SET book_volume_ml = book_volume_ml - 1 WHERE keg_id = ANY(SELECT keg_id FROM taps LIMIT 1)", "keg volume = "),
    ("UPDATE pours SET amount_minor = amount_minor + 1 WHERE pour_id = ANY(SELECT pour_id FROM pours LIMIT 1)", "charge = "),
    ("UPDATE pours SET stock_ml = stock_ml + 1 WHERE pour_id = ANY(SELECT pour_id FROM pours LIMIT 1)", "stock of the pour"),
    ("DELETE FROM money_movements WHERE movement_id = (SELECT max(movement_id) FROM money_movements)", "balance = "),
    ("DELETE FROM pours WHERE pour_id = ANY(SELECT pour_id FROM pours LIMIT 1)", "a grant has one pour"),
)
"""One row that is changed, and the beginning of a rule that must say so."""


@pytest.fixture(scope="module")
async def past(postgres: EmbeddedPostgres, migrated_database: str) -> AsyncIterator[str]:
    """The name of a database with a past, to clone; nothing may connect to it."""
    owner_url = await postgres.clone_database(migrated_database, PAST)
    async with Database.open(postgres.application_url_of(PAST), Policy()) as db:
        await make_history(db, owner_url, HistoryPlan.of(POURS))
    yield PAST
    await postgres.drop_database(PAST)


@pytest.fixture
async def old_db(postgres: EmbeddedPostgres, past: str) -> AsyncIterator[Database]:
    """A copy of the past, for the role that owns its tables."""
    async with Database.open(await postgres.clone_database(past, COPY), Policy(), pool_size=2) as db:
        yield db
    await postgres.drop_database(COPY)


async def test_the_books_of_a_past_balance_and_one_changed_row_is_found(old_db: Database) -> None:
    assert await old_db.pool.fetchval("SELECT count(*) FROM pours WHERE sync_status = 'synced'") == POURS
    assert await old_db.pool.fetchval("SELECT count(*) FROM kegs WHERE finish = 'kicked'") > 0
    assert await check_books(old_db) == []

    for statement, rule in SABOTAGE:
        found = await _differences_after(old_db, statement)
        assert any(difference.rule.startswith(rule) for difference in found), (statement, found)


async def test_a_guest_pours_where_the_past_ends(old_db: Database) -> None:
    venue, guest = await _at_work(old_db)
    covered = "SELECT odometer_covered_ml FROM tap_journals WHERE tap_path = $1"
    venue.tap.odometer_ml = ended_ml = await old_db.pool.fetchval(covered, TAP)

    verdict = await venue.report(await venue.grant(guest), 100)
    await venue.idle()

    assert verdict.outcome == "pending_updated_to_synced"
    assert await old_db.pool.fetchval(covered, TAP) == ended_ml + 100
    assert await old_db.pool.fetchval("SELECT count(*) FROM incidents") == 0
    await venue.books_balance()


async def test_a_pour_of_the_past_has_the_rows_of_a_real_one(old_db: Database, venue: Venue) -> None:
    guest = await venue.guest(10_000_00)
    await venue.report(await venue.grant(guest), 300)
    grant = await venue.grant(guest)  # the second one knows the odometer, as all but a tap's first one do
    await venue.report(grant, 300)

    made = await old_db.pool.fetchval("SELECT pour_id FROM pours WHERE seq > 1 ORDER BY authorized_at DESC LIMIT 1")

    assert await _shapes(old_db, made) == await _shapes(venue.db, grant.pour_id)


async def test_a_past_is_measured_and_cut_without_a_change(
    postgres: EmbeddedPostgres, past: str, old_db: Database, tmp_path: Path
) -> None:
    tables = await old_db.pool.fetchval("SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'i')")

    sizes = await measure_sizes(old_db)
    cuts = await try_partitions(postgres.url_of(COPY), POURS, rows=100)
    reports = await measure_reports(postgres, old_db, tmp_path, database=COPY, again=0)
    check = await run_core(postgres, COPY, tmp_path, "check")

    assert sizes["audit"].total_bytes > sizes["pours"].total_bytes > 0
    assert all(cut.bytes_cut > 0 and cut.months > 0 for cut in cuts.tables.values())
    assert await old_db.pool.fetchval("SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'i')") == tables
    assert {name: asked.status for name, asked in reports.items() if not 200 <= asked.status < 300} == {}
    assert check.said == "The books balance."
    plan = HistoryPlan.of(POURS)
    machine = this_machine("PostgreSQL")
    report = HistoryReport(machine, POURS, plan.nights, 10, 1, sizes, check=check, reports=reports, partitions=cuts)
    assert "| `audit` |" in history_text(report)
    assert "| export of a guest |" in history_text(report)
    assert "`money_movements`" in partitions_text(report)


async def _differences_after(db: Database, statement: str) -> list[Difference]:
    """The differences in the books after a statement that changes one row, and is undone."""
    async with db.pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        try:
            await connection.execute("SET LOCAL session_replication_role = replica")
            assert (await connection.execute(statement)).endswith(" 1")
            return await differences(Store(connection, db.policy))
        finally:
            await undone.rollback()


async def _at_work(db: Database) -> tuple[Venue, Guest]:
    """The first tap of the past, with a fresh keg, and a guest who comes again."""
    journal = await db.pool.fetchrow("SELECT * FROM tap_journals WHERE tap_path = $1", TAP)
    tap = SimulatedTap(DevicePath.parse(TAP), journal["journal_id"], journal["highest_boot_id"], journal["highest_seq"])
    beverage_id = await db.pool.fetchval("SELECT beverage_id FROM beverages ORDER BY name LIMIT 1")
    venue_id = tap.path.venue_id
    keg_id = await create_keg(db, OPERATOR, venue_id=venue_id, beverage_id=beverage_id, initial_volume_ml=KEG_ML)
    await put_keg(db, OPERATOR, tap.path, keg_id)
    known = await db.pool.fetchrow("SELECT guest_id, card_uid FROM guests JOIN cards USING (guest_id) WHERE balance_minor > 100")
    visit = await open_and_assign_card(db, OPERATOR, venue_id, known["guest_id"], known["card_uid"])
    return Venue(db, venue_id, tap, beverage_id, keg_id), Guest(known["guest_id"], visit.visit_id, known["card_uid"])


async def _shapes(db: Database, pour_id: UUID) -> dict[str, list[Any]]:
    """The rows of a pour in each table: which columns have a value, the keys of JSON, and how many subjects."""
    return {
        table: sorted(
            [sorted((name, _shape(value)) for name, value in row.items() if value is not None)]
            for row in await db.pool.fetch(f"SELECT * FROM {table} WHERE {condition}", pour_id)
        )
        for table, condition in OF_A_POUR.items()
    }


def _shape(value: object) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        return _keys(json.loads(value))
    return len(value) if isinstance(value, list) else ""


def _keys(content: dict[str, Any]) -> list[str]:
    """The keys, also of objects in it, sorted."""
    inner = [f"{key}.{name}" for key, value in content.items() if isinstance(value, dict) for name in _keys(value)]
    return sorted([*content, *inner])
