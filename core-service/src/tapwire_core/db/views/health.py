"""Whether the database answers, and whether it is to blame for an error."""

from typing import Final

import asyncpg
from sqlalchemy import literal, select
from sqlalchemy.exc import SQLAlchemyError

from tapwire_core.db.engine import Database

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


def is_database_gone(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that the database can't be used now."""
    return error is not None and (isinstance(error, GONE) or is_database_gone(error.__cause__))
