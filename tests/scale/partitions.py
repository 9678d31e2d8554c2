"""Monthly partitions of a table tried on a copy of it: what they would change. Nothing of this is shipped.

A partitioned table's primary key must have the time in it, so nothing could refer to a movement or a pour by its id alone, and no
unique index could span the months: those that prove that a pour has one lease, and that a payment is booked once.
"""

import time
from typing import Any, Final

import asyncpg
from msgspec import Struct

from tapwire_core.progress import Advance, untold

TABLES: Final = {"money_movements": "created_at", "audit": "created_at", "pours": "authorized_at"}
"""The largest tables that are kept for good, and the time of each by which it would be cut."""
ROWS: Final = 10_000
"""Rows that are written at once."""
TRIAL: Final = "trial"
_MONTHS: Final = """
    SELECT generate_series(date_trunc('month', min({at})), date_trunc('month', max({at})), interval '1 month')::timestamptz
        AS begins
    FROM public.{table}"""


class Cut(Struct, frozen=True):
    """One table as it is, whole, and cut by months. Seconds, or bytes."""

    months: int
    bytes_whole: int
    bytes_cut: int
    copy_s: float
    """To write all rows into the partitions, and to make the indexes: the length of such a migration."""
    month_whole_s: float
    """To read one month."""
    month_cut_s: float
    insert_whole_ms: float
    """To write one row of many, with its indexes."""
    insert_cut_ms: float
    delete_whole_s: float
    """To delete the oldest month."""
    drop_cut_s: float
    """To drop its partition."""


class Cuts(Struct, frozen=True):
    """The tables of a past of so many pours."""

    pours: int
    tables: dict[str, Cut]


async def try_partitions(owner_url: str, pours: int, advance: Advance = untold, *, rows: int = ROWS) -> Cuts:
    """Try each table; the copies are gone afterwards."""
    cuts = {}
    for number, (table, at) in enumerate(TABLES.items()):
        advance(f"partitions of {table}", number, len(TABLES))
        connection = await asyncpg.connect(owner_url)
        try:
            await connection.execute(f"DROP SCHEMA IF EXISTS {TRIAL} CASCADE; CREATE SCHEMA {TRIAL}")
            cuts[table] = await _try(connection, table, at, rows)
        finally:
            await connection.execute(f"DROP SCHEMA IF EXISTS {TRIAL} CASCADE")
            await connection.close()
    return Cuts(pours, cuts)


async def _try(connection: asyncpg.Connection, table: str, at: str, rows: int) -> Cut:
    cut = f"{TRIAL}.{table}"
    months = [row["begins"] for row in await connection.fetch(_MONTHS.format(table=table, at=at))]
    await connection.execute(
        f"CREATE TABLE {cut} (LIKE public.{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE ({at})"
    )
    for month in months:
        await connection.execute(
            f"CREATE TABLE {TRIAL}.{table}_{month:%Y%m} PARTITION OF {cut} "
            f"FOR VALUES FROM ('{month}') TO ('{month}'::timestamptz + interval '1 month')"
        )
    await connection.execute("SET maintenance_work_mem = '256MB'")
    copy_s = await _timed(connection, f"INSERT INTO {cut} SELECT * FROM public.{table}")
    definitions = await connection.fetch(
        "SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid = $1::regclass", f"public.{table}"
    )
    for row in definitions:
        # a unique index would need the time in it
        made = row["definition"].replace("CREATE UNIQUE INDEX", "CREATE INDEX").replace(f" ON public.{table} ", f" ON {cut} ")
        copy_s += await _timed(connection, made)
    await connection.execute(f"VACUUM ANALYZE {cut}")
    oldest, latest = f"{at} < '{months[1 if len(months) > 1 else 0]}'", f"{at} >= '{months[-1]}'"
    insert = (
        "INSERT INTO {into} SELECT (jsonb_populate_record(NULL::public.{table}, to_jsonb(base) || jsonb_build_object({ids}))).* "
        f"FROM (SELECT * FROM public.{{table}} ORDER BY {{key}} DESC LIMIT 1) AS base, generate_series(1, {rows})"
    )
    key = await connection.fetchval(
        """SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
           WHERE indrelid = $1::regclass AND indisprimary""",
        f"public.{table}",
    )
    fresh = "gen_random_uuid()" if table == "pours" else f"nextval(pg_get_serial_sequence('public.{table}', '{key}'))"
    others = ", 'request_id', gen_random_uuid()" if table == "pours" else ""
    written = insert.format(into="{into}", ids=f"'{key}', {fresh}{others}", table=table, key=key if table != "pours" else at)
    return Cut(
        months=len(months),
        bytes_whole=await connection.fetchval("SELECT pg_total_relation_size($1::regclass)", f"public.{table}"),
        bytes_cut=await connection.fetchval(
            "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree($1::regclass)", cut
        ),
        copy_s=round(copy_s, 1),
        month_whole_s=await _quickest(connection, f"SELECT count(*), max({key}::text) FROM public.{table} WHERE {latest}"),
        month_cut_s=await _quickest(connection, f"SELECT count(*), max({key}::text) FROM {cut} WHERE {latest}"),
        insert_whole_ms=round(await _undone(connection, written.format(into=f"public.{table}")) * 1_000 / rows, 4),
        insert_cut_ms=round(await _undone(connection, written.format(into=cut)) * 1_000 / rows, 4),
        delete_whole_s=await _undone(connection, f"DELETE FROM public.{table} WHERE {oldest}"),
        drop_cut_s=await _undone(connection, f"DROP TABLE {TRIAL}.{table}_{months[0]:%Y%m}"),
    )


async def _timed(connection: asyncpg.Connection, statement: str, *values: Any) -> float:
    began_s = time.monotonic()
    await connection.execute(statement, *values)
    return time.monotonic() - began_s


async def _quickest(connection: asyncpg.Connection, statement: str) -> float:
    return round(min([await _timed(connection, statement) for _ in range(3)]), 3)


async def _undone(connection: asyncpg.Connection, statement: str) -> float:
    """The time of a statement in a transaction that is rolled back."""
    undone = connection.transaction()
    await undone.start()
    try:
        await connection.execute("SET LOCAL session_replication_role = replica")
        return round(await _timed(connection, statement), 4)
    finally:
        await undone.rollback()
