"""What a long past costs: disk, commands on it, and the wait for a grant."""

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import psutil
from msgspec import Struct

from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.policy import Policy
from tapwire_core.progress import Advance, untold
from tapwire_core.services import kegs, money, taps, visits
from tapwire_demo.postgres import EmbeddedPostgres, PostgresSettings, embedded_postgres
from tapwire_demo.programs import Program, start_program
from tests.scale.history import HistoryPlan, make_history
from tests.venue import OPERATOR, Guest, SimulatedTap, Venue

PAST: Final = "past"
YOUNG: Final = "young"
RESTORED: Final = "restored"
SHARED_BUFFERS_MB: Final = 1_024
MAX_WAL_MB: Final = 4_096
QUICK: Final = PostgresSettings(durable=False, shared_buffers_mb=SHARED_BUFFERS_MB, max_wal_mb=MAX_WAL_MB)
DURABLE: Final = PostgresSettings(shared_buffers_mb=SHARED_BUFFERS_MB, max_wal_mb=MAX_WAL_MB)
MARK: Final = "made-"
"""A file of this name and the number of pours says that a past is whole."""
BYTES_A_POUR: Final = 4_500
"""More than a pour takes of the disk, to know beforehand whether there is room."""
LONGEST_S: Final = 7_200.0
LOOK_S: Final = 0.1
TURNS: Final = 10
CYCLES_A_TURN: Final = 30
POUR_ML: Final = 10
KEG_ML: Final = 10_000_000
MB: Final = 1_000_000


class TooLittleDisk(Exception):
    """The past does not fit on this disk."""


class TableSize(Struct, frozen=True):
    """A table on the disk, in bytes: its rows, and each index."""

    rows: int
    heap_bytes: int
    index_bytes: dict[str, int]

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.heap_bytes + sum(self.index_bytes.values())


class Run(Struct, frozen=True):
    """A command: how long it took, and the most memory that it had."""

    seconds: float
    peak_mib: float
    said: str


class Turns(Struct, frozen=True):
    """Medians of the wait for a decision, in ms, of each turn: without a past, and with it."""

    young_ms: list[float]
    old_ms: list[float]

    @property
    def ratio(self) -> float:
        """The median of each turn's ratio."""
        return round(statistics.median(old / young for young, old in zip(self.young_ms, self.old_ms, strict=True)), 3)


@asynccontextmanager
async def open_past(folder: Path, pours: int, advance: Advance = untold) -> AsyncIterator[EmbeddedPostgres]:
    """A server with a database that has this past; made in the folder unless it is there. Raises `TooLittleDisk`."""
    if not _is_made(folder, pours):
        async with embedded_postgres(folder, QUICK) as postgres:
            owner_url = await postgres.create_database(PAST)
            await migrate(owner_url, postgres.application_url_of(PAST))
            async with Database.open(postgres.application_url_of(PAST), Policy()) as db:
                await make_history(db, owner_url, HistoryPlan.of(pours), advance)
        _mark(folder, pours).touch()
    async with embedded_postgres(folder, DURABLE) as postgres:
        yield postgres


def forget_past(folder: Path) -> None:
    """Have the next run make a past anew."""
    for mark in folder.glob(f"{MARK}*"):
        mark.unlink()


def _mark(folder: Path, pours: int) -> Path:
    return folder / f"{MARK}{pours}"


def _is_made(folder: Path, pours: int) -> bool:
    """True if the folder has this past; raises `TooLittleDisk` where it would not fit."""
    folder.mkdir(parents=True, exist_ok=True)
    if _mark(folder, pours).exists():
        return True
    needed = pours * BYTES_A_POUR
    if psutil.disk_usage(str(folder)).free < needed:
        raise TooLittleDisk(f"{pours:,} pours need {needed / 1e9:.0f} GB of disk in {folder}")
    return False


async def measure_sizes(db: Database) -> dict[str, TableSize]:
    """Each table of at least a thousand rows, the largest first."""
    rows = await db.pool.fetch(
        """SELECT relname AS name, reltuples::bigint AS rows, pg_table_size(oid) AS heap, (
               SELECT jsonb_object_agg(indexrelid::regclass::text, pg_relation_size(indexrelid)) FROM pg_index WHERE indrelid = oid
           )::text AS indexes
           FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples >= 1000
           ORDER BY pg_total_relation_size(oid) DESC"""
    )
    read = msgspec.json.Decoder(dict[str, int]).decode
    return {row["name"]: TableSize(row["rows"], row["heap"], read(row["indexes"] or "{}")) for row in rows}


async def run_core(postgres: EmbeddedPostgres, database: str, folder: Path, *arguments: str) -> Run:
    """Run `tapwire-core` with these arguments, as its user does; raises `RuntimeError` when it fails."""
    settings = {
        "TAPWIRE_DATABASE_URL": postgres.application_url_of(database),
        "TAPWIRE_OWNER_DATABASE_URL": postgres.url_of(database),
    }
    began_s, peak = time.monotonic(), 0
    child = start_program(Program(arguments[0], ("tapwire_core", *arguments), settings), folder / f"{arguments[0]}.log")
    try:
        while not await child.ended(LOOK_S):
            with suppress(psutil.NoSuchProcess):
                peak = max(peak, psutil.Process(child.pid).memory_info().rss)
            if time.monotonic() - began_s > LONGEST_S:
                raise RuntimeError(f"{arguments[0]} took longer than {LONGEST_S:g} s")
    finally:
        child.kill()
    if child.exit_code:
        raise RuntimeError(f"{arguments[0]} failed: {child.log_tail()}")
    return Run(round(time.monotonic() - began_s, 1), round(peak / (1 << 20), 1), child.log_tail())


async def measure_decisions(postgres: EmbeddedPostgres, db: Database, advance: Advance = untold) -> Turns:
    """Grants at a tap of the past and at one of a young venue, by turns, on one server: the wait for the database's decision."""
    with suppress(asyncpg.InvalidCatalogNameError):  # of an earlier run
        await postgres.drop_database(YOUNG)
    await migrate(await postgres.create_database(YOUNG), postgres.application_url_of(YOUNG))
    turns = Turns([], [])
    async with Database.open(postgres.application_url_of(YOUNG), Policy()) as young_db:
        young = await Venue.open(young_db, keg_ml=KEG_ML, price_minor=1)
        sides = [(young, await young.guest(100_000), turns.young_ms), (*await old_venue(db), turns.old_ms)]
        for turn in range(TURNS + 1):
            advance("grants by turns", turn, TURNS + 1)
            for venue, guest, medians in sides:
                took_ms = await _grants(venue, guest)
                if turn:  # the first one fills caches
                    medians.append(round(statistics.median(took_ms), 3))
            sides.reverse()
    return turns


async def old_venue(db: Database) -> tuple[Venue, Guest]:
    """The first tap of a past, with a fresh keg, and a guest with money who comes again."""
    journal = await db.pool.fetchrow("SELECT * FROM tap_journals ORDER BY tap_path LIMIT 1")
    path = DevicePath.parse(journal["tap_path"])
    known_ids = (journal["journal_id"], journal["highest_boot_id"])
    tap = SimulatedTap(path, *known_ids, journal["highest_seq"], journal["odometer_covered_ml"])
    beverage_id = await db.pool.fetchval("SELECT beverage_id FROM beverages ORDER BY name LIMIT 1")
    keg_id = await kegs.create_keg(db, OPERATOR, venue_id=path.venue_id, beverage_id=beverage_id, initial_volume_ml=KEG_ML)
    await taps.put_keg(db, OPERATOR, path, keg_id)
    known = await db.pool.fetchrow(
        """SELECT guest_id, card_uid FROM guests JOIN cards USING (guest_id)
           WHERE NOT EXISTS (SELECT FROM visits WHERE visits.guest_id = guests.guest_id AND status = 'active')
           ORDER BY balance_minor DESC LIMIT 1"""
    )
    await money.top_up(db, OPERATOR, known["guest_id"], 100_000, PaymentMethod.CASH, path.venue_id)
    visit = await visits.open_and_assign_card(db, OPERATOR, path.venue_id, known["guest_id"], known["card_uid"])
    return Venue(db, path.venue_id, tap, beverage_id, keg_id), Guest(known["guest_id"], visit.visit_id, known["card_uid"])


async def _grants(venue: Venue, guest: Guest) -> list[float]:
    took_ms = []
    for _ in range(CYCLES_A_TURN):
        began_s = time.monotonic()
        grant = await venue.grant(guest)
        took_ms.append((time.monotonic() - began_s) * 1_000)
        await venue.report(grant, POUR_ML)
    return took_ms
