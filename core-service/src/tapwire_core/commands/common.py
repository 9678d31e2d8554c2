"""Shared by all commands: the opened database, exit codes, and the actor in the audit log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tapwire_core.db.engine import Database
from tapwire_core.db.installation import require_installation
from tapwire_core.domain.actor import Actor
from tapwire_core.settings import Settings

DONE: Final = 0
NOT_DONE: Final = 1
COMMAND_LINE: Final = Actor("command-line")


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database of the settings; raises `NotMigrated` and `CurrencyDiffers`."""
    await require_installation(settings.database_url, settings.currency)
    async with Database.open(settings.database_url, settings.policy, pool_size=1) as db:
        yield db
