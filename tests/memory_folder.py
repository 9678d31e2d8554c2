"""Temporary files in memory, where there is enough of it.

The suite makes and deletes a database of 500 files for each of its tests. On a disk that costs more than most tests do: ext4
without a journal looks through all that was deleted in the last minute whenever it makes a file.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")
_WANTED_BYTES: Final = 4 * 2**30
"""Two workers, their databases, and a `.venv` use 2 GB at most."""


def use_memory_for_temporary_files() -> None:
    """Have this process and its children make them there; a TMPDIR that is set stays, as does a machine with little memory."""
    if "TMPDIR" not in os.environ and _is_fit():
        os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


def _is_fit() -> bool:
    if not os.access(_MEMORY, os.W_OK | os.X_OK) or os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(_MEMORY).free >= _WANTED_BYTES and _available_bytes() >= 2 * _WANTED_BYTES


def _available_bytes() -> int:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024
