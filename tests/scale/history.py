"""A long past, made by SQL: nights of venues with guests, visits, pours, kegs, movements and audit log, as our programs write them.

Use cases make the venues, beverages and taps, and open today's shifts; `history_sql` makes the nights before, one after the other.
The books balance with them, and taps and guests go on where the past ends. Left out: the addresses of guests' pages, and Z reports.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Self
from uuid import UUID

import asyncpg

from tapwire_core.db.engine import Database
from tapwire_core.db.indexes import without_indexes
from tapwire_core.progress import Advance, untold
from tapwire_core.services import beverages, shifts, taps, venues
from tests.scale import history_sql as sql
from tests.venue import OPERATOR

BEVERAGES: Final = ("Pils", "Helles", "Cider", "Lemonade", "Pale Ale")
FIRST_PRICE_MINOR: Final = 400
PRICE_STEP_MINOR: Final = 50
TIME_ZONE: Final = "Europe/Berlin"
KEG_ML: Final = 50_000
KEPT_NIGHTS: Final = 30
"""Nights whose answers and reports retention has not deleted."""
LARGE: Final = (
    "audit",
    "authorization_answers",
    "money_movements",
    "odometer_stretches",
    "pour_reports",
    "pours",
    "stock_movements",
    "visits",
)
"""Tables that are filled without their indexes."""


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """The size of a past: nights of ten hours, in which each tap pours as often, for guests who come again every tenth night."""

    venues: int
    taps: int
    """Of each venue."""
    pours: int
    """Of each tap and night; a multiple of `pours_a_visit`."""
    pours_a_keg: int
    nights: int = 1
    pours_a_visit: int = 5
    nights_between: int = 10

    @classmethod
    def of(cls, pours: int) -> Self:
        """At least so many pours, of a few taps or, where there are many, of 200 taps at 20 venues."""
        night = cls(2, 5, pours=20, pours_a_keg=15) if pours < MANY else cls(20, 10, pours=140, pours_a_keg=150)
        return replace(night, nights=-(-pours // night.total))

    @property
    def total(self) -> int:
        """All pours."""
        return self.venues * self.taps * self.nights * self.pours

    @property
    def guests(self) -> int:
        """All guests."""
        return self.venues * self.taps * self.nights_between * (self.pours // self.pours_a_visit)


MANY: Final = 50_000


_FIRST_NOON: Final = "SELECT date_trunc('day', now(), 'UTC') - make_interval(days => $1, hours => -12)"
"""So many nights before this one."""


async def make_history(db: Database, owner_url: str, plan: HistoryPlan, advance: Advance = untold) -> None:
    """Fill an empty database with the past; today's shifts are open afterwards."""
    sold = await _open_venues(db, plan)
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute("SET session_replication_role = replica")  # the rows are as triggers would make them
        await connection.execute("SET work_mem = '128MB'; SET temp_buffers = '128MB'; SET jit = off")
        for table in LARGE:
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        async with without_indexes(connection, LARGE, advance):
            await _make_nights(connection, plan, sold, advance)
        for table in LARGE:
            await connection.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")
        advance("VACUUM ANALYZE", 0, 0)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    for number in range(plan.venues):
        await shifts.open_shift(db, OPERATOR, _venue_id(number))


def _venue_id(number: int) -> str:
    return f"venue-{number:03}"


async def _open_venues(db: Database, plan: HistoryPlan) -> dict[str, UUID]:
    """Venues with taps; the beverage of each tap."""
    prices = [FIRST_PRICE_MINOR + PRICE_STEP_MINOR * place for place in range(len(BEVERAGES))]
    offered = [
        await beverages.create_beverage(db, OPERATOR, name=name, sell_price_per_liter_minor=price)
        for name, price in zip(BEVERAGES, prices, strict=True)
    ]
    sold = {}
    for number in range(plan.venues):
        venue_id = _venue_id(number)
        await venues.create_venue(db, OPERATOR, venue_id=venue_id, name=f"Venue {number}", time_zone=TIME_ZONE)
        for tap in range(plan.taps):
            tap_id = f"tap-{tap:02}"
            await taps.create_tap(db, OPERATOR, venue_id=venue_id, tap_id=tap_id, name=f"Tap {tap}")
            sold[f"{venue_id}/taps/{tap_id}"] = offered[(number + tap) % len(offered)]
    return sold


async def _make_nights(connection: asyncpg.Connection, plan: HistoryPlan, sold: dict[str, UUID], advance: Advance) -> None:
    noon = await connection.fetchval(_FIRST_NOON, plan.nights)
    await connection.execute(sql.PLACES, list(sold), list(sold.values()))
    for statement in sql.GUESTS:
        await _run(connection, statement, plan.guests if "generate_series" in statement else noon)
    place_count, visits_between = plan.venues * plan.taps, plan.nights_between * (plan.pours // plan.pours_a_visit)
    for night in range(plan.nights):
        advance("nights", night, plan.nights)
        begins = await connection.fetchval("SELECT $1::timestamptz + make_interval(days => $2)", noon, night)
        async with connection.transaction():
            await connection.execute(sql.SHIFTS, night, begins)
            await connection.execute(
                sql.POURED,
                *(night, begins, plan.pours, plan.pours_a_visit),
                *(visits_between, plan.taps, place_count, plan.pours_a_keg),
            )
            for statement in (sql.VISITED, sql.MONEY, *sql.STATEMENTS, sql.SHIFTS_CLOSED):
                await _run(connection, statement, plan.pours_a_keg if "tapped AS" in statement else KEG_ML)
            if night >= plan.nights - KEPT_NIGHTS:
                for statement in sql.ANSWERS:
                    await connection.execute(statement)
            for statement in sql.ON:
                await connection.execute(statement)
    at_last = (None, plan.nights * plan.pours, plan.nights * plan.pours // plan.pours_a_keg, noon, noon)
    for statement, value in zip(sql.AT_LAST, at_last, strict=True):
        await _run(connection, statement, value)


async def _run(connection: asyncpg.Connection, statement: str, value: Any) -> None:
    """Run a statement, with the value if it takes one."""
    await connection.execute(statement, *((value,) if "$1" in statement else ()))
