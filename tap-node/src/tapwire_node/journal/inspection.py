"""Read-only views of the journal for people (`tapwire-node journal`), also while the node writes it and when it is damaged.

A damaged journal is read from both ends up to the damage; then `JournalBroken` says that the output is incomplete. If a damaged
journal was set aside and no new one exists, the newest one set aside is read.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from tapwire_node.journal.connection import BUSY_TIMEOUT_S, JournalBroken, decode_leniently, journal_errors
from tapwire_node.journal.damage import damaged_journals

SHOWN_COLUMNS: Final = ("journal_id", "device_path", "seq", "odometer_ml", "pulses_per_liter")
ALARMS_SHOWN: Final = 10


def show(file: Path) -> Iterator[str]:
    """A summary: identity, number of facts, and the last alarms."""
    with journal_errors(), closing(_open(file)) as db:
        for aside in damaged_journals(file):
            yield f"damaged           {aside}, was set aside: save it and move it away, then the tap starts a new journal"
        yield f"file              {_file_to_read(file)}, {_soundness(db)}"
        for part in (_identity, _counts, _alarms):
            try:
                yield from part(db)
            except sqlite3.DatabaseError as error:
                yield f"damaged           {error}"


def pending(file: Path) -> Iterator[str]:
    """Facts without a verdict, one line each, the oldest first."""
    with journal_errors(), closing(_open(file)) as db:
        for row in _facts(db, "WHERE verdict IS NULL"):
            volume_ml = row["odometer_to_ml"] - row["odometer_from_ml"]
            standing = (row["end_reason"] or row["cause"]) if row["ended"] else "running"
            yield f"{row['recorded_at']} {row['kind']} {row['fact_id']} {volume_ml} ml {standing}"


def export(file: Path) -> Iterator[str]:
    """Every fact as one JSON object a line, the oldest first."""
    with journal_errors(), closing(_open(file)) as db:
        for row in _facts(db):
            fact = dict(row)
            fact["volume_ml"] = row["odometer_to_ml"] - row["odometer_from_ml"]
            fact["verdict"] = json.loads(row["verdict"]) if row["verdict"] else None
            yield json.dumps(fact, ensure_ascii=False)


INSPECTIONS: Final[Mapping[str, Callable[[Path], Iterator[str]]]] = {"show": show, "pending": pending, "export": export}


def _facts(db: sqlite3.Connection, which: str = "") -> Iterator[sqlite3.Row]:
    """The facts, the oldest first. At a damaged page continue from the newest backwards, then raise `JournalBroken`."""
    last = 0
    try:
        for row in db.execute(f"SELECT * FROM facts NOT INDEXED {which} ORDER BY number"):  # noqa: S608 - ours
            last = row["number"]
            yield row
    except sqlite3.DatabaseError as error:
        yield from reversed(_facts_from_the_end(db, which, last))
        raise JournalBroken(f"the journal is damaged, these are the facts that could be read: {error}") from error


def _facts_from_the_end(db: sqlite3.Connection, which: str, after: int) -> list[sqlite3.Row]:
    rows: list[sqlite3.Row] = []
    try:
        for row in db.execute(f"SELECT * FROM facts NOT INDEXED {which} ORDER BY number DESC"):  # noqa: S608 - ours
            if row["number"] <= after:
                break
            rows.append(row)
    except sqlite3.DatabaseError:
        return rows
    return rows


def _identity(db: sqlite3.Connection) -> Iterator[str]:
    journal = db.execute("SELECT * FROM journal").fetchone()
    if journal is not None:
        yield from (f"{name:17} {journal[name]}" for name in SHOWN_COLUMNS)


def _counts(db: sqlite3.Connection) -> Iterator[str]:
    counts = db.execute("SELECT kind, count(*) AS facts, count(verdict) AS verdicts FROM facts GROUP BY kind ORDER BY kind")
    for row in counts:
        yield f"{row['kind']} facts{'':7} {row['facts']}, {row['verdicts']} with a verdict"


def _alarms(db: sqlite3.Connection) -> Iterator[str]:
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'alarms'").fetchone() is None:
        return  # the file of an older version that has not been migrated
    rows = db.execute("SELECT * FROM alarms ORDER BY number DESC LIMIT ?", (ALARMS_SHOWN,)).fetchall()
    for row in reversed(rows):
        yield f"alarm             {row['raised_at']} {row['text']}"


def _soundness(db: sqlite3.Connection) -> str:
    try:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return f"damaged: {error}"
    return "sound" if found == "ok" else f"damaged: {found}"


def _file_to_read(file: Path) -> Path:
    if file.exists():
        return file
    aside = damaged_journals(file)
    if not aside:
        raise JournalBroken(f"there is no journal at {file}")
    return aside[-1]


def _open(file: Path) -> sqlite3.Connection:
    uri = f"{_file_to_read(file).resolve().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)
    db.row_factory = sqlite3.Row
    db.text_factory = decode_leniently
    return db
