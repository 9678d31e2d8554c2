"""Whether the database answers."""

from sqlalchemy import literal, select
from sqlalchemy.exc import SQLAlchemyError

from tapwire_core.db.engine import Database


async def is_ready(db: Database) -> bool:
    """Whether the database answers a question."""
    try:
        async with db.engine.connect() as connection:
            await connection.execute(select(literal(1)))
    except (SQLAlchemyError, OSError, TimeoutError):
        return False
    return True
