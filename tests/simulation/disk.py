"""A tap node's disk: the real journal in an SQLite database that lives in memory, and outlives the node's power."""

import functools
import sqlite3
from collections import deque
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID

from tapwire_node.controller.effects import JournalEffect
from tapwire_node.journal import Journal
from tapwire_node.journal.connection import connect
from tapwire_node.journal.identity import Place, claim_journal
from tapwire_node.journal.writer_thread import write_effect
from tests.simulation.node_events import EventFactory
from tests.simulation.virtual import Clock

WRITE_MS: Final = (1, 25)


@functools.cache
def _formatted() -> bytes:
    """A journal that has just been made: its tables and its one row."""
    made = connect(Path(":memory:"))
    claim_journal(made, Place("bar/taps/tap0", "journal.sqlite", 1, 1), TextIOWrapper(BytesIO()))
    return made.serialize()


def _disk_of(image: bytes) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.row_factory = sqlite3.Row
    db.deserialize(image)
    return db


class Disk:
    """The part of a node that survives a power cut."""

    def __init__(self, journal_id: UUID) -> None:
        self._db = _disk_of(_formatted())
        self._db.execute("UPDATE journal SET journal_id = ?", (str(journal_id),))

    def journal(self, boot_id: UUID) -> Journal:
        """The journal, for one boot."""
        (journal_id,) = self._db.execute("SELECT journal_id FROM journal").fetchone()
        return Journal(self._db, TextIOWrapper(BytesIO()), UUID(journal_id), boot_id)

    def image(self) -> bytes:
        """An image of the whole disk, as a technician makes it."""
        return self._db.serialize()

    def set_back(self, image: bytes) -> None:
        """Write an older image to the disk."""
        self._db = _disk_of(image)

    @property
    def open_facts(self) -> set[UUID]:
        """The facts without a verdict."""
        return {UUID(row["fact_id"]) for row in self._db.execute("SELECT fact_id FROM facts WHERE verdict IS NULL")}

    @property
    def odometer_ml(self) -> int:
        """The meter's odometer on the disk."""
        (odometer_ml,) = self._db.execute("SELECT odometer_ml FROM journal").fetchone()
        return int(odometer_ml)


class WriteQueue:
    """Writes that wait for the disk: one after the other, each after a moment."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._waiting: deque[JournalEffect] = deque()

    def put(self, effect: JournalEffect, write_next: Callable[[], None]) -> None:
        """Hand a write over; `write_next` is called when it is its turn."""
        self._waiting.append(effect)
        if len(self._waiting) == 1:
            self._clock.after(self._random.randint(*WRITE_MS), write_next)

    def write_next(self, journal: Journal, write_next: Callable[[], None]) -> list[EventFactory]:
        """Carry out the first write, and have the next one's turn come; what the controller is answered."""
        answers = write_effect(journal, self._waiting.popleft())
        if self._waiting:
            self._clock.after(self._random.randint(*WRITE_MS), write_next)
        return answers

    def cut(self, journal: Journal) -> None:
        """Power fails: of what waits, the first writes may have reached the disk, and nobody will hear of it."""
        for write in list(self._waiting)[: self._random.randint(0, len(self._waiting))]:
            write_effect(journal, write)
        self._waiting.clear()
