"""A folder of backups: taken at regular intervals, the oldest deleted, with the newest one's time for Prometheus."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.errors import DomainError

SUFFIX: Final = ".backup"
RETRY_S: Final = 60.0
"""Wait after a failed backup."""
HOUR_S: Final = 3600.0

log: Final = logging.getLogger(__name__)

TakeBackup = Callable[[Path], Awaitable[None]]
"""Writes a backup into this file in one step; raises `DomainError`, `OSError` and the drivers' errors."""


def new_file(folder: Path) -> Path:
    """The path of a backup taken now; names sort by time."""
    return folder / f"tapwire-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"


def list_backups(folder: Path) -> list[Path]:
    """The folder's backups, oldest first."""
    return sorted(folder.glob(f"tapwire-*{SUFFIX}"))


def delete_oldest(folder: Path, keep: int) -> None:
    """Delete all but the `keep` newest backups."""
    for file in list_backups(folder)[:-keep]:
        file.unlink()
        log.info("deleted %s, kept the %d newest backups", file, keep)


async def back_up_periodically(folder: Path, each_h: float, take: TakeBackup) -> None:
    """Take a backup when the newest is older than `each_h`, and retry after failures; ends only by cancellation."""
    while True:
        due_in_s = each_h * HOUR_S - (time.time() - newest_at(folder))
        if due_in_s > 0:
            await asyncio.sleep(min(due_in_s, HOUR_S))
            continue
        try:
            with translate_database_errors():
                await take(new_file(folder))
        except (DatabaseUnavailable, DomainError, OSError) as error:
            log.error("no backup: %s; trying again in %d s", error, RETRY_S)
            await asyncio.sleep(RETRY_S)


def newest_at(folder: Path) -> float:
    """Time of the newest backup in seconds since 1970; 0 without one."""
    return max((file.stat().st_mtime for file in list_backups(folder)), default=0.0)


class BackupCollector(Collector):
    """The newest backup's time, read from the folder at each scrape."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the one gauge."""
        gauge = GaugeMetricFamily(
            "tapwire_last_backup_timestamp_seconds", "When the newest backup in TAPWIRE_BACKUP_FOLDER was finished; 0 without one"
        )
        gauge.add_metric([], newest_at(self._folder))
        yield gauge
