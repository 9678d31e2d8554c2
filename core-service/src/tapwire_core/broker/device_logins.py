"""Mosquitto's password file for devices, kept in step with the database: added devices may log in, revoked ones are disconnected.

Mosquitto reads its files at the start and at SIGHUP, and then ends connections with logins that are no longer valid. The file is
replaced in one step, so that a starting broker never reads half of it. A failed signal is retried: either program may die between
the write and the signal.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapwire_core.broker.private_file import write_private
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.db.views.devices import broker_logins

BROKER_PROGRAM: Final = "mosquitto"
PROCESSES: Final = Path("/proc")
POLL_INTERVAL_S: Final = 1.0
"""Default interval between two reads of the database."""

log: Final = logging.getLogger(__name__)


class BrokerNotReloaded(Exception):
    """The broker was not signalled; the text says why."""


@dataclass(slots=True)
class DeviceLogins:
    """The password file, and the broker that reads it. `is_reloaded`: the running broker was signalled since the last write.

    Without a `pid_file` the broker is not signalled: it watches the file by itself (`broker-config/run.sh`).
    """

    file: Path
    pid_file: Path | None
    is_reloaded: bool = False

    def set(self, hashes: Mapping[str, str]) -> None:
        """Allow exactly these devices, by their secrets' hashes; raises `BrokerNotReloaded` and `OSError`."""
        wanted = "".join(f"{path}:{made}\n" for path, made in sorted(hashes.items()))
        if not self.file.exists() or self.file.read_text(encoding="utf-8") != wanted:
            self.is_reloaded = False
            write_private(self.file, wanted)
            log.info("%s now has %d devices", self.file, len(hashes))
        if not self.is_reloaded and self.pid_file is not None:
            reload_broker(self.pid_file)
            self.is_reloaded = True


async def keep_device_logins(db: Database, logins: DeviceLogins, pause_s: float = POLL_INTERVAL_S) -> None:
    """Repeat `sync_device_logins`, also while database or broker are unavailable; ends only by cancellation."""
    complaint = None
    while True:
        try:
            await sync_device_logins(db, logins)
            complaint = None
        except (BrokerNotReloaded, DatabaseUnavailable, OSError) as error:
            if complaint != str(error):
                complaint = str(error)
                log.warning("%s; trying again", complaint)
        await asyncio.sleep(pause_s)


async def sync_device_logins(db: Database, logins: DeviceLogins) -> None:
    """Write the current logins; raises `BrokerNotReloaded`, `DatabaseUnavailable` and `OSError`."""
    with translate_database_errors():
        hashes = await broker_logins(db)
    logins.set(hashes)


def reload_broker(pid_file: Path) -> None:
    """Make the broker read its files again; raises `BrokerNotReloaded`. Another program's process id gets no signal."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        if PROCESSES.exists():
            _check_it_listens(pid, pid_file)
        os.kill(pid, signal.SIGHUP)
    except (FileNotFoundError, ProcessLookupError):
        raise BrokerNotReloaded(f"the broker of {pid_file} is not running; it reads the file when it starts") from None
    except PermissionError:
        raise BrokerNotReloaded(f"the broker of {pid_file} can't be signalled: run this as the broker's user") from None
    except ValueError:
        raise BrokerNotReloaded(f"{pid_file} holds no process id") from None


def _check_it_listens(pid: int, pid_file: Path) -> None:
    """Check that the process is Mosquitto and catches SIGHUP; raises `BrokerNotReloaded`, or `FileNotFoundError` without a process.

    Mosquitto writes its process id first: the signal would end a starting broker, and `Restart=on-failure` would not restart it.
    """
    status = dict(line.split(":", 1) for line in (PROCESSES / str(pid) / "status").read_text(encoding="utf-8").splitlines())
    if status["Name"].strip() != BROKER_PROGRAM:
        raise BrokerNotReloaded(f"{pid_file} names process {pid}, which is not {BROKER_PROGRAM}")
    if not int(status["SigCgt"], 16) & 1 << signal.SIGHUP - 1:
        raise BrokerNotReloaded(f"the broker of {pid_file} is still starting")
