"""Tables without their indexes and foreign keys while very many rows are written: made at the end, they cost a part of the time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from tapwire_core.progress import Advance, untold

_FOREIGN_KEYS: Final = """
    SELECT conrelid::regclass::text AS "table", conname AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY(SELECT unnest($1::text[])::regclass) ORDER BY 1, 2"""
_INDEXES: Final = """
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index WHERE indrelid = ANY(SELECT unnest($1::text[])::regclass)
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) ORDER BY 1"""
_MEMORY: Final = "256MB"
"""For sorting the rows of one index."""


@asynccontextmanager
async def without_indexes(connection: asyncpg.Connection, tables: Sequence[str], advance: Advance = untold) -> AsyncIterator[None]:
    """Drop the tables' indexes and foreign keys, and make the same ones again when the block has ended well.

    Primary keys and unique constraints stay. For the tables' owner; in a transaction, so that no error leaves them dropped.
    """
    foreign_keys: list[Any] = await connection.fetch(_FOREIGN_KEYS, tables)
    indexes: list[Any] = await connection.fetch(_INDEXES, tables)
    for key in foreign_keys:
        await connection.execute(f'ALTER TABLE {key["table"]} DROP CONSTRAINT "{key["name"]}"')
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    yield
    await connection.execute(f"SET maintenance_work_mem = '{_MEMORY}'")
    total = len(indexes) + len(foreign_keys)
    for done, index in enumerate(indexes):
        advance(f"index {index['name']}", done, total)
        await connection.execute(index["definition"])
    for done, key in enumerate(foreign_keys, start=len(indexes)):
        advance(f"foreign key {key['name']}", done, total)
        await connection.execute(f'ALTER TABLE {key["table"]} ADD CONSTRAINT "{key["name"]}" {key["definition"]}')
    await connection.execute("RESET maintenance_work_mem")
