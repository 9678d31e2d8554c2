"""The control socket's file.

The address of a Unix socket has room for some hundred bytes; on Linux a longer path is reached through its opened folder.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CONTROL_SUFFIX: Final = ".control"
MAX_ADDRESS: Final = 100
"""Bytes; Linux has room for 107, macOS for 103."""
SOCKET_UMASK: Final = 0o117
"""Umask of the socket: its user and group may connect, nobody else."""


def control_file(journal: Path) -> Path:
    """The socket of the node that has this journal."""
    return Path(f"{journal}{CONTROL_SUFFIX}")


@contextmanager
def short_address(file: Path) -> Iterator[str]:
    """A short address of the file, valid while the block runs; raises `OSError`."""
    if len(os.fsencode(file)) <= MAX_ADDRESS or not hasattr(os, "O_PATH"):
        yield str(file)
        return
    folder = os.open(file.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{file.name}"
    finally:
        os.close(folder)


def bind(file: Path) -> socket.socket:
    """Bind a socket that from the start only the node's user and group can connect to; raises `OSError`."""
    file.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(SOCKET_UMASK)
    try:
        with short_address(file) as address:
            bound.bind(address)
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound
