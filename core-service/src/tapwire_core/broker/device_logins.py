"""Mosquitto's password file for devices, kept as the database has it: who was added may log in, who was revoked is thrown out.

Mosquitto reads its files at the start and at SIGHUP, and then ends the connections whose login is no longer valid. The file is
replaced in one step, so that a broker that starts meanwhile never reads half of it. A broker that could not be told is told again:
between the write and the signal either program may die.
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
"""Between two looks into the database, unless said otherwise."""

log: Final = logging.getLogger(__name__)


class BrokerNotReloaded(Exception):
    """The broker did not get the signal; the text says why."""


@dataclass(slots=True)
class DeviceLogins:
    """The password file, and the broker that reads it. `told`: the running broker has been asked to read the file as it is now.

    Without a `pid_file` the broker is not signalled: it watches the file by itself (`broker-config/run.sh`).
    """

    file: Path
    pid_file: Path | None
    is_reloaded: bool = False

    def set(self, hashes: Mapping[str, str]) -> None:
        """Let in these devices and no others, by their secrets' hashes; raises `BrokerNotTold` and `OSError`."""
        wanted = "".join(f"{path}:{made}\n" for path, made in sorted(hashes.items()))
        if not self.file.exists() or self.file.read_text(encoding="utf-8") != wanted:
            self.is_reloaded = False
            write_private(self.file, wanted)
            log.info("%s has %d devices now", self.file, len(hashes))
        if not self.is_reloaded and self.pid_file is not None:
            reload_broker(self.pid_file)
            self.is_reloaded = True


async def keep_device_logins(db: Database, logins: DeviceLogins, pause_s: float = POLL_INTERVAL_S) -> None:
    """Repeat `sync_device_logins`, also while database or broker are gone; ends only by cancellation."""
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
    """Let the devices log in that may do so now; raises `BrokerNotTold`, `DatabaseGone` and `OSError`."""
    with translate_database_errors():
        hashes = await broker_logins(db)
    logins.set(hashes)


def reload_broker(pid_file: Path) -> None:
    """Have the broker read its files again; raises `BrokerNotTold`. A number that is another program's now is not signalled."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        if PROCESSES.exists():
            _check_it_listens(pid, pid_file)
        os.kill(pid, signal.SIGHUP)
    except (FileNotFoundError, ProcessLookupError):
        raise BrokerNotReloaded(f"the broker of {pid_file} does not run; it reads the file when it starts") from None
    except PermissionError:
        raise BrokerNotReloaded(f"the broker of {pid_file} can't be signalled: run this as the broker's user") from None
    except ValueError:
        raise BrokerNotReloaded(f"{pid_file} holds no process id") from None


def _check_it_listens(pid: int, pid_file: Path) -> None:
    """Mosquitto writes its number before it catches SIGHUP: the signal would end a broker that is still starting, and no
    `Restart=on-failure` starts it again. Raises `BrokerNotTold`, and `FileNotFoundError` where no such process runs.
    """
    status = dict(line.split(":", 1) for line in (PROCESSES / str(pid) / "status").read_text(encoding="utf-8").splitlines())
    if status["Name"].strip() != BROKER_PROGRAM:
        raise BrokerNotReloaded(f"{pid_file} names process {pid}, which is not {BROKER_PROGRAM}")
    if not int(status["SigCgt"], 16) & 1 << signal.SIGHUP - 1:
        raise BrokerNotReloaded(f"the broker of {pid_file} is still starting")
