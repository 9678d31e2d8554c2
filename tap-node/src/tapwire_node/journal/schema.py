"""The journal's tables and their migrations.

`pour_ids` holds grants and tombstones under one key: the first insert wins. `facts` holds reports, running ones
(`ended` 0) included; `opened` is set by the first checkpoint after the valve has opened. There is no volume column: it is
`odometer_to_ml − odometer_from_ml`. `tail_ml`, `over_ml` and `latency_ms` are `controller.facts.Closing`.
`alarms` are for a technician; only the last ones are kept.
"""

import sqlite3
from typing import Final

MIGRATIONS: Final = (
    """
    CREATE TABLE journal (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        journal_id TEXT NOT NULL,
        device_path TEXT NOT NULL,
        file TEXT NOT NULL,
        file_device INTEGER NOT NULL,
        file_inode INTEGER NOT NULL,
        generation TEXT NOT NULL,
        generation_before TEXT,
        seq INTEGER NOT NULL DEFAULT 0 CHECK (seq >= 0),
        last_card_uid TEXT,
        odometer_ml INTEGER NOT NULL DEFAULT 0 CHECK (odometer_ml >= 0),
        odometer_remainder INTEGER NOT NULL DEFAULT 0 CHECK (odometer_remainder >= 0),
        pulses_per_liter INTEGER,
        config BLOB
    ) STRICT;
    CREATE TABLE pour_ids (
        pour_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('grant', 'dead')),
        recorded_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE facts (
        number INTEGER PRIMARY KEY,
        fact_id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('pour', 'flow')),
        card_uid TEXT,
        cause TEXT CHECK ((kind = 'flow') = (cause IS NOT NULL)),
        started_at TEXT,
        duration_ms INTEGER NOT NULL DEFAULT 0 CHECK (duration_ms >= 0),
        ended INTEGER NOT NULL CHECK (ended IN (0, 1)),
        opened INTEGER NOT NULL DEFAULT 0 CHECK (opened IN (0, 1)),
        end_reason TEXT CHECK ((kind = 'pour' AND ended = 1) = (end_reason IS NOT NULL)),
        interrupted INTEGER NOT NULL DEFAULT 0 CHECK (interrupted IN (0, 1)),
        ended_ms INTEGER NOT NULL DEFAULT 0,
        odometer_from_ml INTEGER NOT NULL CHECK (odometer_from_ml >= 0),
        odometer_to_ml INTEGER NOT NULL CHECK (odometer_to_ml >= odometer_from_ml),
        journal_id TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        recorded_at TEXT NOT NULL,
        verdict BLOB CHECK (verdict IS NULL OR ended = 1),
        verdict_at TEXT
    ) STRICT;
    CREATE INDEX facts_open ON facts (number) WHERE verdict IS NULL;
    """,
    """
    ALTER TABLE facts ADD COLUMN tail_ml INTEGER;
    ALTER TABLE facts ADD COLUMN over_ml INTEGER;
    ALTER TABLE facts ADD COLUMN latency_ms INTEGER;
    """,
    """
    CREATE TABLE alarms (
        number INTEGER PRIMARY KEY,
        raised_at TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT;
    """,
)


class JournalTooNew(Exception):
    """The file was written by a newer version of this program."""


def migrate(db: sqlite3.Connection, now: str) -> None:
    """Migrate the file to the newest version, each step in its own transaction; raises `JournalTooNew`."""
    db.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT")
    (applied,) = db.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()
    if applied > len(MIGRATIONS):
        raise JournalTooNew(f"the journal has version {applied}, this program knows {len(MIGRATIONS)}: update tapwire-node")
    for version, script in enumerate(MIGRATIONS[applied:], start=applied + 1):
        note = f"INSERT INTO migrations VALUES ({version}, '{now}')"  # noqa: S608 - both values are ours
        db.executescript(f"BEGIN IMMEDIATE; {script} {note}; COMMIT;")
