"""Whether the database answers, and whether it is to blame for an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
from sqlalchemy import literal, select
from sqlalchemy.exc import SQLAlchemyError

from tapwire_core.db.engine import RETRIED, Database

GONE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What a database raises that can't be reached, is being stopped or started, or has no connection left."""


async def is_ready(db: Database) -> bool:
    """Whether the database answers a question."""
    try:
        async with db.engine.connect() as connection:
            await connection.execute(select(literal(1)))
    except (SQLAlchemyError, *GONE):
        return False
    return True


class DatabaseGone(Exception):
    """The database can't be used now; what it was that said so is the cause."""


@contextmanager
def telling_database_gone() -> Iterator[None]:
    """Raise `DatabaseGone` in place of whatever says that the database can't be used now: drivers' errors share no class."""
    try:
        yield
    except Exception as error:
        if is_database_gone(error):
            raise DatabaseGone(str(error)) from error
        raise


def may_work_later(error: BaseException) -> bool:
    """Whether the same may succeed when it is tried again: the database is gone, or gave up a transaction for another one."""
    return is_database_gone(error) or is_row_held(error) or isinstance(error, RETRIED)


def is_row_held(error: BaseException) -> bool:
    """Whether an error says that somebody else held a row for longer than it was to be waited for."""
    return isinstance(error, asyncpg.LockNotAvailableError)


def is_database_gone(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that the database can't be used now."""
    return error is not None and (isinstance(error, GONE) or is_database_gone(error.__cause__))
