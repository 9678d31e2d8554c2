"""One SQLite connection, set up so that a commit is on the disk, and every failure told in one way."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tapwire_node.clock import wall_clock
from tapwire_node.journal.schema import JournalTooNew, migrate

BUSY_TIMEOUT_S: Final = 2.0
"""How long a write waits for a reader's or a backup's lock."""


class JournalBroken(Exception):
    """The journal can't be opened, read or written; the text says why."""


def now() -> str:
    """The time of day, for people and for how long facts are kept."""
    return wall_clock()


def connect(file: Path) -> sqlite3.Connection:
    """Open for writing, with the newest tables."""
    db = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    migrate(db, now())
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it on the disk, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def reported() -> Iterator[None]:
    """Turn what SQLite and the file system raise into `JournalBroken`."""
    try:
        yield
    except (sqlite3.Error, OSError, JournalTooNew) as error:
        raise JournalBroken(str(error)) from error
