"""One server at a time on one data directory: two would ruin it.

A lock on the demo's folder keeps a second demo away; it ends with its holder, however that ends. A server that outlived its killed
parent holds no lock, so whoever has the lock may stop it, but only if its command line proves that it serves our data directory.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from tapwire_demo.postgres_home import EmbeddedPostgresError
from tapwire_demo.processes import StopStep

_POLL_S: Final = 0.05


@contextmanager
def only_one_server(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while a server may run; raises `EmbeddedPostgresError` when somebody else does."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "postgres.lock").open("ab")
    except PermissionError as error:
        raise EmbeddedPostgresError(f"{folder} belongs to another user: run `make demo-reset` as that user") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EmbeddedPostgresError(f"{folder} is in use by another demo: stop that one first") from error
        yield


EMPTY_FILE_LOOKS: Final = 20
EMPTY_FILE_PAUSE_S: Final = 0.1
"""Number and interval of the looks at an empty pid file before it counts as abandoned."""


async def stop_orphan(data: Path, stop_steps: Sequence[StopStep]) -> None:
    """Stop a server that a killed process of ours left on the data directory; the caller holds the lock.

    Its pid file is removed when the process it names is gone or another program by now: PostgreSQL would refuse to start. It still
    finds out by itself whether its shared memory is in use. Raises `EmbeddedPostgresError` when the server doesn't stop.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = await _pid_in(pid_file)
    if pid is None:
        pid_file.unlink(missing_ok=True)
        return
    for step in stop_steps:
        if not _serves(pid, data):
            break
        os.kill(pid, step.signal)
        if await _ended(pid, data, step.grace_s):
            break
    else:
        raise EmbeddedPostgresError(f"an earlier PostgreSQL still runs on {data} and doesn't stop: end process {pid}")
    pid_file.unlink(missing_ok=True)


async def _pid_in(pid_file: Path) -> int | None:
    """The pid that the file names; a server that is just starting has not written it yet. None when it stays empty."""
    for _ in range(EMPTY_FILE_LOOKS):
        words = _words_of(pid_file)
        if words:
            return int(words[0])
        await asyncio.sleep(EMPTY_FILE_PAUSE_S)
    return None


def _words_of(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []


def _serves(pid: int, data: Path) -> bool:
    """Return whether the process is a PostgreSQL on the data directory."""
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied as error:
        raise EmbeddedPostgresError(f"process {pid} may be a server on {data}: look, and stop it if so") from error
    return str(data) in command and command[0].endswith("postgres")


async def _ended(pid: int, data: Path, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while _serves(pid, data):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True
