"""Helpers of all writes: a row as a typed struct, and the change of one row by its key.

Rows are locked in one order, so that transactions don't deadlock:

    idempotent answer, user, login tries, venue, shift, beverage, tap, card, visit, guest, keg, pour, incident

and of two of one kind the smaller id first. `FOR NO KEY UPDATE` is the lock of a row that changes: others may still refer to it.
A venue's emergency stop locks the venue's taps before the venue, because a tap's decision reads the venue under the tap's lock.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from sqlmodel import SQLModel

from tapwire_core.db.store import Store

S = TypeVar("S", bound=msgspec.Struct)


async def change_row(store: Store, table: type[SQLModel], key: Mapping[str, object], changes: Mapping[str, object]) -> None:
    """Set the columns in `changes` of the row with this key; without changes there is no statement."""
    if not changes:
        return
    sets = ", ".join(f"{column} = ${position}" for position, column in enumerate(changes, start=1))
    where = " AND ".join(f"{column} = ${position}" for position, column in enumerate(key, start=len(changes) + 1))
    # table and column names are our own code's, never input
    statement = f"UPDATE {table.__tablename__} SET {sets} WHERE {where}"  # noqa: S608
    await store.connection.execute(statement, *changes.values(), *key.values())


def as_struct(record: Any, struct: type[S]) -> S | None:
    """A row as a typed struct; None where there is no row."""
    return None if record is None else msgspec.convert(dict(record), struct)
