"""The machine under the node: SPI, clock, disk, and the journal as a file. Nothing here writes."""

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
"""Below this, someone should make room; a year of pours takes some 30 MB."""
OLDEST_YEAR: Final = 2025
TIME_ERROR: Final = 5
"""What adjtimex answers while nothing has set the clock."""
TIMEX_BYTES: Final = 256
"""More than `struct timex` has on any machine; all zero, it asks and changes nothing."""


def examine_spi(settings: Settings) -> Finding:
    """Whether the bus of the reader is there."""
    hardware = settings.hardware
    if not isinstance(hardware, Mfrc522Wiring):
        return Finding.ok("SPI", "not used")
    device = Path(f"/dev/spidev{hardware.reader_spi_bus}.{hardware.reader_spi_device}")
    if not device.exists():
        return Finding.problem(
            "SPI", f"there is no {device}: switch SPI on (raspi-config nonint do_spi 0), then start the Pi again"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        return Finding.problem("SPI", f"{device} can't be opened by this user: add it to the group spi")
    return Finding.ok("SPI", str(device))


def examine_clock(journal: Path) -> Finding:
    """The time of day is information only; but people compare it, so it should not be absurd."""
    now = datetime.now(UTC)
    text = now.isoformat(timespec="seconds")
    latest = latest_entry(journal)
    if now.year < OLDEST_YEAR or (latest is not None and text < latest[: len("2025-01-01T00:00:00")]):
        return Finding.problem("clock", f"{text} is in the past: let the Pi reach a time server (timedatectl set-ntp true)")
    if not is_clock_set():
        return Finding.ok("clock", f"{text}, set by no time server: times in logs may be wrong, pours are not")
    return Finding.ok("clock", text)


def is_clock_set() -> bool:
    """Whether a time server sets the clock, as the kernel says; True where it can't be asked."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    return adjtimex is None or adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)) != TIME_ERROR


def examine_disk(journal: Path) -> Finding:
    """Room for the journal, in a folder that can be written."""
    folder = next(parent for parent in journal.parents if parent.exists())
    if not os.access(folder, os.W_OK):
        return Finding.problem("disk", f"{folder} can't be written by this user: chown it to the node's")
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        return Finding.problem("disk", f"{free // 2**20} MB free at {folder}: make room, {MIN_FREE_BYTES // 2**20} MB at least")
    return Finding.ok("disk", f"{free // 2**20} MB free at {folder}")


def examine_journal(journal: Path) -> Finding:
    """Whether the file is sound, and what it still has to tell."""
    if not journal.exists():
        return Finding.ok("journal", f"none yet: the node makes {journal} when it first starts")
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
    """When the journal was last written, as far as it says."""
    try:
        with closing(open_read_only(journal)) as db:
            (latest,) = db.execute("SELECT max(recorded_at) FROM facts").fetchone()
    except sqlite3.Error:
        return None
    return str(latest) if latest is not None else None


def open_read_only(journal: Path) -> sqlite3.Connection:
    """The journal's file, also while the node writes to it; raises `sqlite3.Error`."""
    return sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
