"""A tap node's disk: the real journal in an SQLite database that lives in memory, and outlives the node's power."""

import functools
import sqlite3
from io import BytesIO, TextIOWrapper
from pathlib import Path
from uuid import UUID

from tapwire_node.journal import Journal
from tapwire_node.journal.connection import connect
from tapwire_node.journal.identity import Place, claim


@functools.cache
def _formatted() -> bytes:
    """A journal that has just been made: its tables and its one row."""
    made = connect(Path(":memory:"))
    claim(made, Place("bar/taps/tap0", "journal.sqlite", 1, 1), TextIOWrapper(BytesIO()))
    return made.serialize()


class Disk:
    """What of a node survives a power cut."""

    def __init__(self, journal_id: UUID) -> None:
        self.journal_id = journal_id
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.deserialize(_formatted())
        self._db.execute("UPDATE journal SET journal_id = ?", (str(journal_id),))

    def journal(self, boot_id: UUID) -> Journal:
        """The journal, for one boot."""
        return Journal(self._db, TextIOWrapper(BytesIO()), self.journal_id, boot_id)

    @property
    def odometer_ml(self) -> int:
        """How much has gone through the meter, as far as the disk knows."""
        (odometer_ml,) = self._db.execute("SELECT odometer_ml FROM journal").fetchone()
        return int(odometer_ml)
