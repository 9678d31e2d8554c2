"""The journal for people and programs, read-only, also while the node writes to it."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from tapwire_node.journal.connection import BUSY_TIMEOUT_S, JournalBroken, reported

SHOWN: Final = ("journal_id", "device_path", "seq", "odometer_ml", "pulses_per_liter")


def show(file: Path) -> Iterator[str]:
    """What the journal is, and how much it holds."""
    with reported(), closing(_open(file)) as db:
        journal = db.execute("SELECT * FROM journal").fetchone()
        yield from (f"{name:17} {journal[name]}" for name in SHOWN)
        counts = db.execute("SELECT kind, count(*) AS facts, count(verdict) AS verdicts FROM facts GROUP BY kind ORDER BY kind")
        for row in counts:
            yield f"{row['kind']} facts{'':7} {row['facts']}, {row['verdicts']} with a verdict"


def pending(file: Path) -> Iterator[str]:
    """Facts without a verdict, one line each, the oldest first."""
    with reported(), closing(_open(file)) as db:
        for row in db.execute("SELECT * FROM facts WHERE verdict IS NULL ORDER BY number"):
            volume_ml = row["odometer_to_ml"] - row["odometer_from_ml"]
            standing = (row["end_reason"] or row["cause"]) if row["ended"] else "running"
            yield f"{row['recorded_at']} {row['kind']} {row['fact_id']} {volume_ml} ml {standing}"


def export(file: Path) -> Iterator[str]:
    """Every fact as one JSON object a line, the oldest first."""
    with reported(), closing(_open(file)) as db:
        for row in db.execute("SELECT * FROM facts ORDER BY number"):
            fact = dict(row)
            fact["volume_ml"] = row["odometer_to_ml"] - row["odometer_from_ml"]
            fact["verdict"] = json.loads(row["verdict"]) if row["verdict"] else None
            yield json.dumps(fact, ensure_ascii=False)


READINGS: Final[Mapping[str, Callable[[Path], Iterator[str]]]] = {"show": show, "pending": pending, "export": export}


def _open(file: Path) -> sqlite3.Connection:
    if not file.exists():
        raise JournalBroken(f"there is no journal at {file}")
    db = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    db.row_factory = sqlite3.Row
    return db
