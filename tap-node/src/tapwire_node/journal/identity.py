"""Which journal a file is.

The core concludes from `journal_id` and `seq` that a pour never started, so two files must never speak as one, and a file that has
gone back in time must not speak as the newer one that it was. The id stays only while the device's path, the file's place and
inode, and its generation are the ones noted inside. The generation is new at each opening, and stands also in the lock file beside
the journal: a backup put back in place has an older one. The journal is written first and the lock file after it, so that a lock
file one generation behind is an opening that was cut off, and means nothing.
"""

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

LOCK_SUFFIX: Final = ".lock"


class JournalInUse(Exception):
    """Another process writes to this journal."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a journal lies, and for whom."""

    device_path: str
    file: str
    file_device: int
    file_inode: int


def take_lock(file: Path) -> TextIOWrapper:
    """Hold the journal for this process until it ends or closes this; raises `JournalInUse`."""
    lock = os.fdopen(os.open(f"{file}{LOCK_SUFFIX}", os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise JournalInUse(f"{file} is in use by another process: one tap node a journal") from error
    return lock


def place_of(file: Path, device_path: str) -> Place:
    """Where the file lies now."""
    found = file.stat()
    return Place(device_path, str(file.resolve()), found.st_dev, found.st_ino)


@dataclass(frozen=True, slots=True)
class Claim:
    """The journal's id, and its new generation, which `write_generation` takes to the lock file once the journal is committed."""

    journal_id: UUID
    generation: str


def claim_journal(db: sqlite3.Connection, place: Place, lock: TextIOWrapper) -> Claim:
    """Note place and a new generation in the journal; the id stays if all is what it was."""
    noted = db.execute(
        "SELECT journal_id, device_path, file, file_device, file_inode, generation, generation_before FROM journal"
    ).fetchone()
    lock.seek(0)
    witness = lock.read().strip()
    is_same = noted is not None and Place(*noted[1:5]) == place and witness in noted[5:7]
    journal_id = UUID(noted[0]) if is_same else uuid4()
    generation = uuid4().hex
    db.execute(
        """
        INSERT INTO journal (one, journal_id, device_path, file, file_device, file_inode, generation)
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (one) DO UPDATE SET
            journal_id = ?1, device_path = ?2, file = ?3, file_device = ?4, file_inode = ?5,
            generation_before = generation, generation = ?6
        """,
        (str(journal_id), place.device_path, place.file, place.file_device, place.file_inode, generation),
    )
    return Claim(journal_id, generation)


def write_generation(lock: TextIOWrapper, generation: str) -> None:
    """Take the generation to the lock file, and to the disk: in place, so that a power cut leaves the one before or this one."""
    os.pwrite(lock.fileno(), generation.encode(), 0)
    os.fsync(lock.fileno())
