"""Database failures: a readiness check, and the classification of errors."""

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
"""Errors of a database that can't be reached, is starting or stopping, or has no connection left."""


async def is_ready(db: Database) -> bool:
    """Return whether the database answers a query."""
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
    """Raise `DatabaseGone` in place of the drivers' errors for a database that can't be used now: they share no class."""
    try:
        yield
    except Exception as error:
        if is_database_gone(error):
            raise DatabaseGone(str(error)) from error
        raise


def may_work_later(error: BaseException) -> bool:
    """Return whether a retry may succeed: the database is gone, or aborted the transaction for another one."""
    return is_database_gone(error) or is_row_held(error) or isinstance(error, RETRIED)


def is_row_held(error: BaseException) -> bool:
    """Return whether an error is a lock timeout."""
    return isinstance(error, asyncpg.LockNotAvailableError)


def is_database_gone(error: BaseException | None) -> bool:
    """Return whether an error, or its cause, says that the database can't be used now."""
    return error is not None and (isinstance(error, GONE) or is_database_gone(error.__cause__))
