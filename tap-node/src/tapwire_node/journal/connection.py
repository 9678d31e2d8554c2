"""The SQLite connection (a commit is on the disk) and the journal's exceptions."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tapwire_node.clock import wall_clock
from tapwire_node.journal.damage import JournalDamaged
from tapwire_node.journal.schema import JournalTooNew, migrate

BUSY_TIMEOUT_S: Final = 2.0
"""Longest wait of a write for the lock of a reader or a backup."""
FULL_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class JournalBroken(Exception):
    """The journal can't be opened, read or written; the text says why."""


class JournalFull(JournalBroken):
    """The disk has no room left."""


def connect(file: Path) -> sqlite3.Connection:
    """Open the file for writing and migrate it."""
    db = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        db.row_factory = sqlite3.Row
        db.text_factory = decode_leniently
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        migrate(db, wall_clock())
    except BaseException:
        db.close()
        raise
    return db


def decode_leniently(stored: bytes) -> str:
    """A `text_factory` for which a flipped bit spoils one value and not the whole query."""
    return stored.decode(errors="replace")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit the block as a whole, or roll it back."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def journal_errors() -> Iterator[None]:
    """Turn exceptions of SQLite and the file system into `JournalBroken` or `JournalFull`."""
    try:
        yield
    except (sqlite3.Error, OSError, JournalTooNew, JournalDamaged) as error:
        raise (JournalFull if is_full(error) else JournalBroken)(str(error)) from error


def is_full(error: Exception) -> bool:
    """True when the error says that the disk is full."""
    if isinstance(error, OSError):
        return error.errno in FULL_ERRNOS
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
