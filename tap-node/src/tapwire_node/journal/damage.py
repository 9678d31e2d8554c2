"""Damaged journals: they are set aside, that is renamed with their side files, and never deleted or written again.

A damaged journal may hold facts that nobody else has, so no new journal starts beside it: the tap stays out of service and says so.
A technician saves its content (`tapwire-node journal export`) and moves it away; then the tap starts a new journal with a new id,
and the core raises an incident for each pour whose report is lost.
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
    """The journal is damaged; the text says where it was moved and what to do."""


def is_damage(error: sqlite3.Error) -> bool:
    """True when the file itself is damaged, and not only unreachable."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE in DAMAGE_CODES


def require_sound(file: Path) -> None:
    """Check all pages; raises `sqlite3.DatabaseError` with the damage.

    Read-only: a writing connection would move the write-ahead log into the damaged file when it closes.
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
    """Rename the journal and its side files; return the exception to raise."""
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
    """Sync renames to the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def damaged_journals(file: Path) -> list[Path]:
    """The damaged journals beside this one, the oldest first."""
    found = file.parent.glob(f"{file.name}{DAMAGED}*")
    return sorted(path for path in found if not path.name.endswith(SIDE_FILES))


def refuse_beside_damaged(file: Path) -> None:
    """Raise `JournalDamaged` while a damaged journal lies in the folder."""
    for aside in damaged_journals(file):
        raise damaged_error(file, aside, "it was found damaged before")


def damaged_error(file: Path, aside: Path, why: str) -> JournalDamaged:
    """The exception, with the text for the technician."""
    return JournalDamaged(
        f"the journal {file} is damaged ({why}) and was renamed to {aside.name}: save its content (tapwire-node journal export), "
        f"then move {aside.name}* out of {file.parent}; the tap then starts a new journal"
    )
