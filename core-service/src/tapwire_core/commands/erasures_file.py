"""The file of erasures beside the backups: one guest's id a line, never more. A restore erases again whom its backup still has.

It is only added to, by each process that may write the folder, and holds what the database has: a line that was lost or torn is
written again. One that a stranger could have written is refused, by the backup and by the restore: it would say who is erased.
"""

import asyncio
import fcntl
import logging
import os
import stat
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


class ErasuresRefused(OSError):
    """The file may be a stranger's work."""


def read_erasures(file: Path) -> list[UUID]:
    """The ids in the file, each once, in their order; a torn line is left out. Raises `ErasuresRefused`."""
    with os.fdopen(_open(file, os.O_RDONLY), "rb") as opened:
        return _ids_in(opened.read())


def add_erasures(file: Path, guest_ids: Iterable[UUID]) -> int:
    """Add the ids that the file lacks, and sync it to the disk; returns their number. Without any the file is not made.

    Raises `ErasuresRefused`.
    """
    wanted = list(guest_ids)
    if not wanted:
        return 0
    with os.fdopen(_open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND), "r+b", buffering=0) as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        written = opened.read()
        known = set(_ids_in(written))
        missing = [guest_id for guest_id in wanted if guest_id not in known]
        if missing:
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
    """Write each erasure into the folder's file within `CHECK_S`, while this process may; ends only by cancellation."""
    written = None

    async def look() -> None:
        nonlocal written
        if not _may_write(folder):
            return
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


def _may_write(folder: Path) -> bool:
    """Return whether the folder is there and this process may write it; where it may not, the backup's process does."""
    return folder.is_dir() and os.access(folder, os.W_OK)


def _ids_in(written: bytes) -> list[UUID]:
    found: dict[UUID, None] = {}
    for line in written.decode("ascii", errors="replace").splitlines():
        with suppress(ValueError):
            found[UUID(line.strip())] = None
    return list(found)


def _open(file: Path, flags: int) -> int:
    """Open the file unless a stranger could have written it; one that root makes is given to the folder's owner."""
    if file.is_symlink():
        raise _refused(file, "is a link")
    # where a link came in between it is not followed, and a pipe keeps nobody waiting
    opened = os.open(file, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        its, folder, user_id = os.fstat(opened), file.parent.stat(), os.geteuid()
        if not stat.S_ISREG(its.st_mode) or its.st_nlink != 1:
            raise _refused(file, "is no file, or has two names")
        if its.st_uid not in {0, user_id, folder.st_uid}:
            raise _refused(file, f"belongs to the user with the id {its.st_uid}")
        if its.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _refused(file, "may be written by others than its owner")
        if its.st_uid == user_id == 0 != folder.st_uid:
            os.fchown(opened, folder.st_uid, folder.st_gid)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _refused(file: Path, why: str) -> ErasuresRefused:
    return ErasuresRefused(
        f"{file} {why}, and a restore erases the guests in it. Look through it, then give it to this folder's owner with mode 600, "
        "or take it away. Backups are best in a folder of their own, which nobody else may write"
    )


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
