"""Opening the database for one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tapwire_core.db.engine import Database
from tapwire_core.db.schema import require_newest
from tapwire_core.settings import Settings


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings; raises `NotMigrated`."""
    await require_newest(settings.database_url)
    async with Database.open(settings.database_url, settings.policy, pool_size=1) as db:
        yield db
