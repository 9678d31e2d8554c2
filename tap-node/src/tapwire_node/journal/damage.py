"""A journal that SQLite finds damaged is set aside: renamed with all that belongs to it, never deleted, never written again.

What it held may be facts that nobody else knows, so nothing begins in its place by itself: while a damaged journal lies in its
folder the tap is out of service and says so. A technician reads it (`tapwire-node journal export`), then moves it away; with that
the tap begins a new journal, under a new id, and the core tells a person of each pour whose report the old one took with it.
"""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tapwire_node.journal.identity import LOCK_SUFFIX

DAMAGED: Final = ".damaged-"
SIDE_FILES: Final = ("-wal", "-shm", "-journal", LOCK_SUFFIX)
DAMAGE_CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE: Final = 0xFF


class JournalDamaged(Exception):
    """The file is there, but not as a journal; the text says where it is now and what to do."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is not sound, and not only out of reach."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE in DAMAGE_CODES


def require_sound(file: Path) -> None:
    """Look through all pages; raises `sqlite3.DatabaseError` with what is wrong.

    Read-only: at its end, a connection that may write would take the write-ahead log into a file that can't hold it any more.
    """
    if not file.exists() or file.stat().st_size == 0:
        return
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def set_aside(file: Path, why: str) -> JournalDamaged:
    """Rename the journal and what belongs to it; what to raise then."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (file.with_name(f"{file.name}{DAMAGED}{stamp}{again}") for again in ("", *(f"-{count}" for count in range(2, 100))))
    aside = next(name for name in names if not name.exists())
    for suffix in ("", *SIDE_FILES):
        part = Path(f"{file}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    sync_folder(file.parent)
    return damaged_error(file, aside, why)


def sync_folder(folder: Path) -> None:
    """Take renames to the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def aside_of(file: Path) -> list[Path]:
    """The damaged journals that were set aside here, the oldest first."""
    found = file.parent.glob(f"{file.name}{DAMAGED}*")
    return sorted(path for path in found if not path.name.endswith(SIDE_FILES))


def refuse_beside_damaged(file: Path) -> None:
    """Raises `JournalDamaged` while a damaged journal lies where this one would be."""
    for aside in aside_of(file):
        raise damaged_error(file, aside, "it was found damaged before")


def damaged_error(file: Path, aside: Path, why: str) -> JournalDamaged:
    """What a technician must know."""
    return JournalDamaged(
        f"the journal {file} is damaged ({why}) and lies aside as {aside.name}: save what it holds (tapwire-node journal export), "
        f"then move {aside.name}* out of {file.parent}; the tap begins a new journal then"
    )
