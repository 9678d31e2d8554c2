"""Checks of the machine: SPI, clock, disk, and the journal's file. Nothing is written."""

import ctypes
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.hardware.settings import Mfrc522Wiring
from tapwire_node.journal.connection import BUSY_TIMEOUT_S
from tapwire_node.settings import Settings

MIN_FREE_BYTES: Final = 64 * 1024 * 1024
"""Below this the doctor asks for room; a year of pours takes some 30 MB."""
OLDEST_YEAR: Final = 2025
TIME_ERROR: Final = 5
"""The answer of adjtimex while nothing has set the clock."""
TIMEX_BYTES: Final = 256
"""Larger than `struct timex` on any machine; all zero means read and change nothing."""


def examine_spi(settings: Settings) -> Finding:
    """Check that the reader's bus exists and can be opened."""
    hardware = settings.hardware
    if not isinstance(hardware, Mfrc522Wiring):
        return Finding.ok("SPI", "not used")
    device = Path(f"/dev/spidev{hardware.reader_spi_bus}.{hardware.reader_spi_device}")
    if not device.exists():
        return Finding.problem("SPI", f"there is no {device}: enable SPI (raspi-config nonint do_spi 0), then restart the Pi")
    if not os.access(device, os.R_OK | os.W_OK):
        return Finding.problem("SPI", f"{device} can't be opened by this user: add it to the group spi")
    return Finding.ok("SPI", str(device))


def examine_clock(journal: Path) -> Finding:
    """Check the time of day. It is information only, but people compare it."""
    now = datetime.now(UTC)
    text = now.isoformat(timespec="seconds")
    latest = latest_entry(journal)
    if now.year < OLDEST_YEAR or (latest is not None and text < latest[: len("2025-01-01T00:00:00")]):
        return Finding.problem("clock", f"{text} is in the past: let the Pi reach a time server (timedatectl set-ntp true)")
    if not is_clock_set():
        return Finding.ok("clock", f"{text}, not set by a time server: times in logs may be wrong, pours are not affected")
    return Finding.ok("clock", text)


def is_clock_set() -> bool:
    """True when the kernel says that a time server sets the clock, or can't be asked."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    return adjtimex is None or adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)) != TIME_ERROR


def examine_disk(journal: Path) -> Finding:
    """Check that the journal's folder can be written and the disk has room."""
    folder = next(parent for parent in journal.parents if parent.exists())
    if not os.access(folder, os.W_OK):
        return Finding.problem("disk", f"{folder} can't be written by this user: change its owner to the node's user")
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        return Finding.problem("disk", f"{free // 2**20} MB free at {folder}: make room, {MIN_FREE_BYTES // 2**20} MB at least")
    return Finding.ok("disk", f"{free // 2**20} MB free at {folder}")


def examine_journal(journal: Path) -> Finding:
    """Check that the journal is sound, and count its facts without a verdict."""
    if not journal.exists():
        return Finding.ok("journal", f"none yet: the node creates {journal} at its first start")
    try:
        with closing(open_read_only(journal)) as db:
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
            (waiting,) = db.execute("SELECT count(*) FROM facts WHERE verdict IS NULL").fetchone()
    except sqlite3.Error as error:
        return Finding.problem(
            "journal", f"{journal} can't be read: {error}. Keep the file; `tapwire-node journal export` may save it"
        )
    if found != "ok":
        return Finding.problem(
            "journal", f"{journal} is damaged: {found}. Keep the file; `tapwire-node journal export` may save it"
        )
    return Finding.ok("journal", f"sound, {waiting} facts without a verdict")


def latest_entry(journal: Path) -> str | None:
    """The time of the journal's last fact; None if unknown."""
    try:
        with closing(open_read_only(journal)) as db:
            (latest,) = db.execute("SELECT max(recorded_at) FROM facts").fetchone()
    except sqlite3.Error:
        return None
    return str(latest) if latest is not None else None


def open_read_only(journal: Path) -> sqlite3.Connection:
    """Open the journal's file, also while the node writes it; raises `sqlite3.Error`."""
    return sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
