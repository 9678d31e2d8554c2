"""Database failures: a readiness check, and the classification of errors."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
from sqlalchemy import literal, select
from sqlalchemy.exc import SQLAlchemyError

from tapwire_core.db.connections import CLIENT_ERRORS, LOGIN_REFUSED
from tapwire_core.db.engine import RETRYABLE_ERRORS, Database

UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    *CLIENT_ERRORS,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""Errors of a database that is unreachable, starting, stopping, or has no free connection."""
_UNREACHED: Final = (ConnectionError, socket.gaierror, TimeoutError)
_ADVICE: Final = "check TAPWIRE_DATABASE_URL"


async def is_ready(db: Database) -> bool:
    """Return whether the database answers a query."""
    try:
        async with db.engine.connect() as connection:
            await connection.execute(select(literal(1)))
    except (SQLAlchemyError, *UNAVAILABLE):
        return False
    return True


class DatabaseUnavailable(Exception):
    """The database is unavailable, or refuses the login; the text is for people, the driver's error is the cause."""


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Raise `DatabaseUnavailable` in place of the drivers' errors for it, which share no base class."""
    try:
        yield
    except Exception as error:
        for cause in _causes(error):
            if isinstance(cause, LOGIN_REFUSED):
                raise DatabaseUnavailable(f"the database refuses the login ({cause}): {_ADVICE}") from error
            if isinstance(cause, _UNREACHED):
                raise DatabaseUnavailable(f"the database does not answer ({cause or 'in time'}): {_ADVICE}") from error
        if is_database_unavailable(error):
            raise DatabaseUnavailable(str(error)) from error
        raise


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, its cause, the cause's cause, and so on: SQLAlchemy wraps the driver's errors."""
    while error is not None:
        yield error
        error = error.__cause__


def is_retryable(error: BaseException) -> bool:
    """Return whether a retry may succeed: the database is unavailable, or aborted the transaction for another one."""
    return is_database_unavailable(error) or is_lock_timeout(error) or isinstance(error, RETRYABLE_ERRORS)


def is_lock_timeout(error: BaseException) -> bool:
    """Return whether an error is a lock timeout."""
    return isinstance(error, asyncpg.LockNotAvailableError)


def is_database_unavailable(error: BaseException | None) -> bool:
    """Return whether an error, or its cause, means that the database is unavailable."""
    return any(isinstance(cause, UNAVAILABLE) for cause in _causes(error))
