"""The identity of a journal file (`journal_id`).

The core concludes from `journal_id` and `seq` that a pour never started. So two files must never have the same id, and neither may
an older copy of a file. The id is kept only while the device's path, the file's place and inode, and its generation are the ones
stored inside. The generation changes at each opening and is also written to the lock file beside the journal: a restored backup has
an older one. The journal is written first, then the lock file, so a lock file that is one generation behind only means that an
opening was interrupted.
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
    """The place of a journal file, and its device."""

    device_path: str
    file: str
    file_device: int
    file_inode: int


def take_lock(file: Path) -> TextIOWrapper:
    """Lock the journal for this process until the file is closed; raises `JournalInUse`."""
    lock = os.fdopen(os.open(f"{file}{LOCK_SUFFIX}", os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise JournalInUse(f"{file} is in use by another process: each tap node needs a journal of its own") from error
    return lock


def place_of(file: Path, device_path: str) -> Place:
    """The present place of the file."""
    found = file.stat()
    return Place(device_path, str(file.resolve()), found.st_dev, found.st_ino)


@dataclass(frozen=True, slots=True)
class Claim:
    """The journal's id and its new generation, which goes to the lock file (`write_generation`) after the commit."""

    journal_id: UUID
    generation: str


def claim_journal(db: sqlite3.Connection, place: Place, lock: TextIOWrapper) -> Claim:
    """Store the place and a new generation in the journal; keep the id if the stored ones match, else make a new one."""
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
    """Write the generation to the lock file and sync it: in place, so that a power cut leaves the old or the new one."""
    os.pwrite(lock.fileno(), generation.encode(), 0)
    os.fsync(lock.fileno())
