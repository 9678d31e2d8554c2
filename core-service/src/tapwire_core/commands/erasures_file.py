"""The file of erasures beside the backups: one guest's id a line, never more. A restore erases again whom its backup still has.

It is only added to, by each process that may write the folder, and holds what the database has: a line that was lost or torn is
written again.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Never
from uuid import UUID

from tapwire_core.db.engine import Database
from tapwire_core.services.guest_erasures import count_erasures, list_erased
from tapwire_core.worker.periodic import repeat

NAME: Final = "erased-guests.txt"
CHECK_S: Final = 5.0
"""Interval between two looks for erasures that the file lacks."""

log: Final = logging.getLogger(__name__)


def read_erasures(file: Path) -> list[UUID]:
    """The ids in the file, each once, in their order; a torn line is left out."""
    found: dict[UUID, None] = {}
    for line in file.read_text("ascii", errors="replace").splitlines():
        with suppress(ValueError):
            found[UUID(line.strip())] = None
    return list(found)


def add_erasures(file: Path, guest_ids: Iterable[UUID]) -> int:
    """Add the ids that the file lacks, and sync it to the disk; returns their number. Without any the file is not made."""
    wanted = list(guest_ids)
    if not wanted:
        return 0
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", buffering=0) as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        known = set(read_erasures(file))
        missing = [guest_id for guest_id in wanted if guest_id not in known]
        if missing:
            written = file.read_bytes()
            torn = "\n" if written and not written.endswith(b"\n") else ""
            os.write(opened.fileno(), (torn + "".join(f"{guest_id}\n" for guest_id in missing)).encode())
            os.fsync(opened.fileno())
            _sync_folder(file.parent)
    return len(missing)


async def write_erasures(db: Database, folder: Path) -> int:
    """Add to the folder's file what it lacks; returns the number. Raises `OSError`."""
    guest_ids = await list_erased(db)
    return await asyncio.to_thread(add_erasures, folder / NAME, guest_ids)


async def keep_erasures_file(db: Database, folder: Path) -> Never:
    """Write each erasure into the folder's file within `CHECK_S`; ends only by cancellation."""
    written = None

    async def look() -> None:
        nonlocal written
        found = await count_erasures(db)
        if found == written:
            return
        try:
            count = await write_erasures(db, folder)
        except OSError as error:
            log.error("erasures: %s; trying again in %d s", error, CHECK_S)
            return
        written = found
        if count:
            log.info("erasures: added %d to %s", count, folder / NAME)

    await repeat(CHECK_S, look)


def may_write(folder: Path) -> bool:
    """Return whether this process may write the folder; where it may not, the backup's process does."""
    return folder.is_dir() and os.access(folder, os.W_OK)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
