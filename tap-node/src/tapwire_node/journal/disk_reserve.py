"""Room on the disk that is kept for the facts of a running pour.

A file of its own beside the journal holds the blocks. No question is asked and no grant taken without it, so whoever fills the disk
meanwhile, what has begun can be written to its end: the file is given up for it. It must be there again before the next question.
"""

import os
from pathlib import Path
from typing import Final

RESERVE_SUFFIX: Final = ".reserve"
KIB: Final = 1_024


class DiskReserve:
    """The file that keeps `size_kib` of the disk free for this journal."""

    def __init__(self, file: Path, size_kib: int) -> None:
        self._file = Path(f"{file}{RESERVE_SUFFIX}")
        self._size = size_kib * KIB

    def hold(self) -> None:
        """Take the room, unless it is held; raises `OSError` when the disk has not so much."""
        if self._file.exists() and self._file.stat().st_size >= self._size:
            return
        opened = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(opened, 0, self._size)
            os.fsync(opened)
        except OSError:
            self._file.unlink(missing_ok=True)
            raise
        finally:
            os.close(opened)

    def give_up(self) -> bool:
        """Let the journal have the room; whether there was any."""
        is_there = self._file.exists()
        self._file.unlink(missing_ok=True)
        return is_there
