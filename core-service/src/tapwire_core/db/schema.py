"""Bringing a database to this version's schema, and refusing one that is not there."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tapwire_core.db.engine import open_engine
from tapwire_core.db.roles import admit_application
from tapwire_core.errors import NotMigrated

R = TypeVar("R")

MIGRATION_LOCK: Final = 7_461_707
"""An advisory lock, so that two `migrate` at once run one after the other."""


async def migrate(url: str, application_url: str | None = None, revision: str = "head") -> str:
    """Bring the database to a revision, the newest unless said otherwise, and say which the newest is.

    `url` is the owner's. With an `application_url` of another role, that role gets what the application needs, and no more.
    """
    await _on_connection(url, functools.partial(_upgrade, application_url=application_url, revision=revision))
    return newest_revision()


async def require_newest(url: str) -> None:
    """Raise `NotMigrated` unless the database has the schema that this version works with."""
    found = await revision_of(url)
    if found == newest_revision():
        return
    if found is not None and not is_known(found):
        raise NotMigrated(f"The database is at revision {found!r}, which is newer than this version: install the newer version.")
    raise NotMigrated(
        f"The database is at revision {found!r}, this version needs {newest_revision()!r}: run `tapwire-core migrate`."
    )


async def revision_of(url: str) -> str | None:
    """The revision that the database is at; None where nothing was migrated yet."""
    return await _on_connection(url, lambda connection: MigrationContext.configure(connection).get_current_revision())


def is_known(revision: str) -> bool:
    """Whether this version has the migration to this revision."""
    return revision in {known.revision for known in _scripts().walk_revisions()}


def newest_revision() -> str:
    """The revision that this version's tables describe."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our migrations."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def _upgrade(connection: Connection, application_url: str | None, revision: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
    command.upgrade(config(connection), revision)
    if application_url is not None:
        admit_application(connection, application_url)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


async def _on_connection(url: str, step: Callable[[Connection], R]) -> R:
    engine = open_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(step)
    finally:
        await engine.dispose()
