"""Memory of programs."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

BYTES_PER_KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """A program's memory now: resident bytes and the number of its processes; nothing while it doesn't run."""

    resident_bytes: int = 0
    processes: int = 0


def memory_of(pid: int | None) -> Memory:
    """The memory of a process and its children, what they share counted once where the system tells.

    Shared memory is left out: it is the database's page cache, which fills up to the size that it was given.
    """
    try:
        process = psutil.Process(pid) if pid is not None else None
        family = [process, *process.children(recursive=True)] if process else []
        return Memory(sum(_share_of(each) for each in family), len(family))
    except psutil.NoSuchProcess:
        return Memory()


def _share_of(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        kib = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines) if name.startswith("Pss")}
        return (kib["Pss"] - kib.get("Pss_Shmem", 0)) * BYTES_PER_KIB
    resident: int = process.memory_info().rss
    return resident
