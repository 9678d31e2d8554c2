"""The same seeds on a real database, step by step beside the ledger: the model of the schema can't drift from the SQL."""

from collections.abc import AsyncIterator
from dataclasses import fields
from random import Random
from typing import Final

import pytest

from tapwire_contracts.reasons import SyncStatus
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.domain.pours import TRANSITIONS
from tapwire_core.services.books import check_books
from tests.simulation.books.interface import Statement
from tests.simulation.books.wrapped import both
from tests.simulation.site import HOUSE, Size, install, open_ledger, open_postgres
from tests.simulation.world import World
from tests.venue import SimulatedTap

SEEDS: Final = (*range(10_000, 10_020), 823)
"""The last one has a grant that is lost, and a node that remembers another card."""
WITNESS: Final = """
    CREATE TABLE pour_moves (before text, after text);
    GRANT SELECT, INSERT ON pour_moves TO public;
    CREATE FUNCTION note_pour_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO pour_moves VALUES (CASE TG_OP WHEN 'UPDATE' THEN OLD.sync_status END, NEW.sync_status);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_pour_move AFTER INSERT OR UPDATE OF sync_status ON pours
        FOR EACH ROW EXECUTE FUNCTION note_pour_move()"""
"""Notes each step of a pour from one state to another, whichever statement takes it."""
ALLOWED: Final = {(None, SyncStatus.PENDING_SYNC), *((before, after) for (before, _), after in TRANSITIONS.items())}


@pytest.fixture
async def db(database_url: str, owner_db: Database) -> AsyncIterator[Database]:
    """A database with the simulation's limits."""
    await owner_db.pool.execute(WITNESS)
    async with Database.open(database_url, HOUSE) as opened:
        yield opened
        assert await check_books(opened) == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_services_on_postgresql_do_what_the_rules_on_the_ledger_do(db: Database, seed: int) -> None:
    random = Random(f"site {seed}")
    site = await install(Size.draw(random), db)
    ledger, postgres = open_ledger(site, random), await open_postgres(site, db)

    outcome = await World(seed, site, both(ledger, postgres)).run()

    assert outcome.findings == ()
    assert differences(await ledger.statement(), await postgres.statement()) == {}
    moves = await db.pool.fetch("SELECT before, after FROM pour_moves")
    assert {(before, after) for before, after in moves} <= ALLOWED


@pytest.mark.parametrize("seed", range(4))
async def test_a_hole_that_facts_fill_piece_by_piece_is_the_same_in_both(db: Database, seed: int) -> None:
    random = Random(f"hole {seed}")
    site = await install(Size(taps=1, spare_kegs=0, guests=0), db)
    ledger, postgres = open_ledger(site, random), await open_postgres(site, db)
    books, tap = both(ledger, postgres), SimulatedTap(DevicePath.parse(site.taps[0].path))
    await books.note_state(str(tap.path), tap.state())
    flows = [tap.flow(random.randint(1, 400)) for _ in range(8)]
    await books.note_state(str(tap.path), tap.state())

    for flow in random.sample(flows, random.randint(6, 8)):
        await books.record_flow(str(tap.path), flow)
        assert differences(await ledger.statement(), await postgres.statement()) == {}

    missing_ml = sum(line.to_ml - line.from_ml for line in (await ledger.statement()).stretches if line.fact_id is None)
    assert sum(gap.volume_ml for gap in (await ledger.statement()).gaps.values()) == missing_ml


def differences(imagined: Statement, found: Statement) -> dict[str, tuple[object, object]]:
    """Differences of the two books, by table."""
    tables = [table.name for table in fields(Statement)]
    return {
        table: (getattr(imagined, table), getattr(found, table))
        for table in tables
        if getattr(imagined, table) != getattr(found, table)
    }
