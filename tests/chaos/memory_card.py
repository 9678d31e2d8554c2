"""A node's memory card: an image of its journal, and the card set back to it while no node runs."""

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUFFIXES: Final = ("", "-wal", ".lock")
"""The journal, what is not yet moved into it, and the witness of its generation."""


@dataclass(frozen=True, slots=True)
class Image:
    """The files of a journal, as a technician's copy of the whole card has them."""

    files: dict[str, bytes]

    @classmethod
    def of(cls, journal: Path) -> "Image":
        """Make an image of a journal that nobody has open."""
        files = {suffix: Path(f"{journal}{suffix}") for suffix in SUFFIXES}
        return cls({suffix: file.read_bytes() for suffix, file in files.items() if file.exists()})

    def write_back(self, journal: Path) -> None:
        """Set the card back. Each file keeps its inode, as on a card that is written anew as a whole."""
        Path(f"{journal}-shm").unlink(missing_ok=True)
        for suffix in SUFFIXES:
            file = Path(f"{journal}{suffix}")
            if suffix in self.files:
                file.write_bytes(self.files[suffix])
            else:
                file.unlink(missing_ok=True)

    def read(self) -> tuple[int, int]:
        """The odometer, and the volume of the facts that have no verdict."""
        with tempfile.TemporaryDirectory() as folder:
            self.write_back(copy := Path(folder) / "journal.sqlite")
            with closing(sqlite3.connect(copy)) as db:
                (odometer_ml,) = db.execute("SELECT odometer_ml FROM journal").fetchone()
                open_ml = "SELECT coalesce(sum(odometer_to_ml - odometer_from_ml), 0) FROM facts WHERE verdict IS NULL"
                return odometer_ml, db.execute(open_ml).fetchone()[0]
