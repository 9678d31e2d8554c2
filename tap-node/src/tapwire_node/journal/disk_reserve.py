"""Disk space reserved for the facts of a running pour.

A file beside the journal holds real blocks. No question is asked and no grant accepted without it. If the disk fills up during a
pour, the file is deleted and the pour's facts take its space; it must exist again before the next question.
"""

import os
from pathlib import Path
from typing import Final

RESERVE_SUFFIX: Final = ".reserve"
KIB: Final = 1_024


class DiskReserve:
    """The file that reserves `size_kib` of the disk for a journal."""

    def __init__(self, file: Path, size_kib: int) -> None:
        self._file = Path(f"{file}{RESERVE_SUFFIX}")
        self._size = size_kib * KIB

    def allocate(self) -> None:
        """Create the file unless it exists; raises `OSError` when the disk has not enough room."""
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

    def release(self) -> bool:
        """Delete the file; return whether there was one."""
        is_there = self._file.exists()
        self._file.unlink(missing_ok=True)
        return is_there
