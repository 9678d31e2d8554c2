"""Revision 0031 on a filled database: when a keg was on a tap comes from the audit log, else from its first pour."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from tapwire_core.db.schema import migrate, require_newest

BEFORE: Final = "0030"
NOON: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
TAP: Final = "bar/taps/{}"


class OldVenue:
    """A venue of before, row by row, without the triggers and references that would ask for more of it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.beverage_id = uuid4()

    async def open(self) -> None:
        """A venue with a beverage."""
        await self.connection.execute("SET session_replication_role = replica")
        await self._insert("venues", venue_id="bar", name="The Bar", time_zone="Europe/Berlin")
        await self._insert("beverages", beverage_id=self.beverage_id, name="Pils", sell_price_per_liter_minor=500)

    async def keg(self, *, tap_id: str | None = None, status: str = "in_stock", book_volume_ml: int = 30_000) -> UUID:
        """A keg, on a tap of its own or on none."""
        keg_id = uuid4()
        its = {"venue_id": "bar", "beverage_id": self.beverage_id, "status": status}
        await self._insert("kegs", keg_id=keg_id, initial_volume_ml=50_000, book_volume_ml=book_volume_ml, **its)
        if tap_id:
            place = {"tap_path": TAP.format(tap_id), "venue_id": "bar", "tap_id": tap_id}
            await self._insert("taps", **place, name=tap_id, keg_id=keg_id)
        return keg_id

    async def moved(self, keg_id: UUID, tap_id: str, action: str, at: datetime) -> None:
        """The audit log's entry of a keg that was put on a tap, or taken off."""
        subjects = [TAP.format(tap_id), str(keg_id)]
        await self._insert("audit", action=action, actor="operator", subjects=subjects, details="{}", created_at=at)

    async def poured(self, keg_id: UUID, at: datetime) -> None:
        """A settled pour out of a keg, with its movement of stock."""
        what = {"visit_id": uuid4(), "guest_id": uuid4(), "card_uid": "04a1b2c3", "request_id": uuid4(), "keg_id": keg_id}
        where = {"venue_id": "bar", "tap_path": TAP.format("left"), "beverage_id": self.beverage_id}
        sums = {"sell_price_per_liter_minor": 500, "max_volume_ml": 400, "hold_minor": 200, "volume_ml": 400, "amount_minor": 200}
        pour_id = uuid4()
        times = {"authorized_at": at, "settled_at": at}
        await self._insert("pours", pour_id=pour_id, sync_status="synced", **what, **where, **sums, **times)
        movement = {"kind": "sale", "volume_ml": 400, "venue_id": "bar", "cause_id": pour_id, "actor": "core", "created_at": at}
        await self._insert("stock_movements", keg_id=keg_id, **movement)

    async def _insert(self, table: str, **columns: object) -> None:
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        await self.connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", *columns.values())


async def test_kegs_of_before_get_their_time_on_taps_from_the_audit_log_else_from_their_pours(empty_owner_url: str) -> None:
    await migrate(empty_owner_url, revision=BEFORE)
    connection = await asyncpg.connect(empty_owner_url)
    venue = OldVenue(connection)
    await venue.open()
    put_on, taken_off = "keg_put_on", "keg_taken_off"
    twice = await venue.keg(tap_id="left")
    for action, hours in ((put_on, 0.0), (taken_off, 2.0), (put_on, 24.0)):
        await venue.moved(twice, "left", action, NOON + hours * HOUR)
    await venue.poured(twice, NOON + 25 * HOUR)
    gone = await venue.keg(status="retired", book_volume_ml=1_200)
    for action, hours in ((put_on, 1.0), (taken_off, 4.0), (put_on, 5.0), (taken_off, 5.5)):
        await venue.moved(gone, "middle", action, NOON + hours * HOUR)
    forgotten = await venue.keg()
    for hours in (3, 2, 7):
        await venue.poured(forgotten, NOON + hours * HOUR)
    unlogged = await venue.keg(tap_id="right")
    await venue.poured(unlogged, NOON + 9 * HOUR)
    unpoured = await venue.keg(tap_id="terrace")
    full = await venue.keg(book_volume_ml=50_000)
    before = await books(connection)
    migrated_at = await connection.fetchval("SELECT now()")

    await migrate(empty_owner_url)

    await require_newest(empty_owner_url)
    assert await stays(connection, twice) == (NOON, NOON + 24 * HOUR, 2 * 3600)
    assert await stays(connection, gone) == (NOON + HOUR, None, 3.5 * 3600)
    assert await stays(connection, forgotten) == (NOON + 2 * HOUR, None, 0)
    assert await stays(connection, unlogged) == (NOON + 9 * HOUR, NOON + 9 * HOUR, 0)
    tapped_at, since, before_s = await stays(connection, unpoured)
    assert migrated_at <= tapped_at == since
    assert before_s == 0
    assert await stays(connection, full) == (None, None, 0)
    stated = "finish, finish_reason, finished_at, supplier, batch, best_before, cost_minor, keg_deposit_minor"
    rows = await connection.fetch(f"SELECT {stated} FROM kegs")
    assert {value for row in rows for value in row.values()} == {None}, "nobody said what became of a keg of before"
    assert await books(connection) == before
    await connection.close()


async def stays(connection: asyncpg.Connection, keg_id: UUID) -> tuple[Any, Any, Any]:
    """When a keg was tapped, since when it is on its tap, and how many seconds it was on taps before."""
    found = await connection.fetchrow("SELECT tapped_at, on_tap_since, on_tap_before_s FROM kegs WHERE keg_id = $1", keg_id)
    return tuple(found)


async def books(connection: asyncpg.Connection) -> Mapping[str, list[tuple[Any, ...]]]:
    """What the books say of kegs and their movements."""
    statements = {
        "kegs": "SELECT keg_id, status, initial_volume_ml, book_volume_ml FROM kegs ORDER BY keg_id",
        "stock": "SELECT keg_id, kind, volume_ml, cause_id FROM stock_movements ORDER BY movement_id",
    }
    return {name: [tuple(row) for row in await connection.fetch(statement)] for name, statement in statements.items()}
