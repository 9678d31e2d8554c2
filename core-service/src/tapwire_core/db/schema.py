"""Migration of a database to this version's schema, and the check that it has it.

The schema has two parts: tables, by Alembic's migrations, and functions, views and triggers, by `sql_files`.
"""

import asyncio
import functools
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from tapwire_core.db.engine import open_engine
from tapwire_core.db.roles import grant_application
from tapwire_core.db.sql_files import SQL, install_objects, outdated_objects
from tapwire_core.errors import NotMigrated
from tapwire_core.progress import Advance, untold

R = TypeVar("R")

MIGRATION_LOCK: Final = 7_461_707
"""Key of the advisory lock that serialises concurrent migrations."""
LOCK_WAITS_MS: Final = (200, 400, 800, 1_600, 3_200)
"""Lock timeouts of the attempts; workers queue behind a waiting one."""
PAUSE_S: Final = 0.2
"""Pause between two attempts, for the transactions that queued behind one."""
INSUFFICIENT_PRIVILEGE: Final = "42501"
"""PostgreSQL's code for what a role may not do."""
BEFORE_RELEASE: Final = frozenset(f"{number:04}" for number in range(1, 13))
"""The revisions of development versions before the first release; no migration leads on from them."""


async def migrate(
    url: str, application_url: str | None = None, revision: str = "head", sql: Path = SQL, advance: Advance = untold
) -> str:
    """Migrate the database to a revision, by default the newest, and return the newest revision; raises `NotMigrated`.

    `url` is the owner's. With an `application_url` of another role, that role gets only the privileges that the application needs.
    At the newest revision the functions, views and triggers of the folder `sql` are installed too. `advance` is told of each
    revision. All in one transaction, which is retried when others hold its locks for too long.
    """
    for wait_ms in LOCK_WAITS_MS:
        step = functools.partial(
            _upgrade, application_url=application_url, revision=revision, sql=sql, wait_ms=wait_ms, advance=advance
        )
        try:
            await _on_connection(url, step)
        except DBAPIError as error:
            if not _is_lock_held(error):
                raise
            await asyncio.sleep(PAUSE_S)
        else:
            return newest_revision()
    raise NotMigrated("Other sessions hold locks on the tables for too long: end them, or run `tapwire-core migrate` again later.")


async def require_newest(url: str) -> None:
    """Raise `NotMigrated` unless the database has the schema that this version works with."""
    found = await revision_of(url)
    _require_known(found)
    if found != newest_revision():
        raise NotMigrated(
            f"The database is at revision {found!r}, this version needs {newest_revision()!r}: run `tapwire-core migrate`."
        )
    others = await _on_connection(url, outdated_objects)
    if others:
        raise NotMigrated(
            f"The database's functions are of another version ({', '.join(others)}): run `tapwire-core migrate` of the newer one."
        )


async def revision_of(url: str) -> str | None:
    """The database's revision; None before its first migration. Raises `NotMigrated` for a role that may not read it."""
    try:
        return await _on_connection(url, _revision_on)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        raise NotMigrated(
            "The role of TAPWIRE_DATABASE_URL may not read the tables: run `tapwire-core migrate` with the owner's address in "
            "TAPWIRE_OWNER_DATABASE_URL beside it."
        ) from None


def is_known(revision: str) -> bool:
    """Return whether this version has the migration to this revision."""
    return revision in {known.revision for known in _scripts().walk_revisions()}


def is_before_release(revision: str) -> bool:
    """Return whether a development version before the first release made this revision."""
    return revision in BEFORE_RELEASE


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


def _upgrade(connection: Connection, application_url: str | None, revision: str, sql: Path, wait_ms: int, advance: Advance) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
    connection.execute(text("SELECT set_config('lock_timeout', :wait_ms, true)"), {"wait_ms": str(wait_ms)})
    found = _revision_on(connection)
    _require_known(found)
    _run_migrations(connection, found, revision, advance)
    if revision == "head":
        advance("functions, views and triggers", 0, 0)
        install_objects(connection, sql)
    if application_url is not None:
        grant_application(connection, application_url)


def _run_migrations(connection: Connection, found: str | None, revision: str, advance: Advance) -> None:
    upgrade = config(connection)
    ahead = [script.revision for script in _scripts().iterate_revisions(revision, found or "base")][::-1]

    def tell(done: int) -> None:
        if done < len(ahead):
            advance(f"revision {ahead[done]}", done, len(ahead))

    tell(0)
    applied = count(1)
    upgrade.attributes["on_version_apply"] = lambda **_: tell(next(applied))
    command.upgrade(upgrade, revision)


def _require_known(found: str | None) -> None:
    if found is None or is_known(found):
        return
    if is_before_release(found):
        raise NotMigrated(
            f"The database is at revision {found!r}, of a version before the first release, and can't be migrated to this "
            "version's schema: export what you need with the version that made it, and begin with an empty database."
        )
    raise NotMigrated(f"The database is at revision {found!r}, which is newer than this version: install the newer version.")


def _is_lock_held(error: DBAPIError) -> bool:
    cause = error.orig and error.orig.__cause__
    return isinstance(cause, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError)


def _revision_on(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


async def _on_connection(url: str, step: Callable[[Connection], R]) -> R:
    engine = open_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(step)
    finally:
        await engine.dispose()
