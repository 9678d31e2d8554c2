"""The journal's file: one SQLite database (WAL, synchronous=FULL, so a commit is on the disk).

Everything is written ahead: a grant before the valve opens, a question's `seq` before the question is sent, a report before it is
sent. After a power cut the file alone says what had flowed: a pour whose valve was open ends at its last checkpoint, marked
`interrupted`; a pour whose valve was not open never started.

Not for the event loop: each call may wait for the disk. `writer_thread` has the one thread that makes the calls.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum, auto
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Final, Self
from uuid import UUID

from msgspec.structs import replace

from tapwire_contracts.codec import Malformed, decode, encode
from tapwire_contracts.messages import CONFIG, PourAuthorized, PourCompleted, TapConfig
from tapwire_contracts.reasons import EndReason
from tapwire_node.clock import TIME_OF_DAY, wall_clock
from tapwire_node.controller.closing_lead import REMEMBERED_CLOSINGS
from tapwire_node.controller.events import RecoveredJournal
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.controller.odometer import Odometer
from tapwire_node.journal.connection import JournalFull, connect, journal_errors, transaction
from tapwire_node.journal.damage import is_damage, refuse_beside_damaged, require_sound, set_aside
from tapwire_node.journal.disk_reserve import DiskReserve
from tapwire_node.journal.fact_rows import FACT_COLUMNS, fact_to_row, ids_of, read_row, row_to_fact
from tapwire_node.journal.identity import claim_journal, place_of, take_lock, write_generation

MAX_ALARMS: Final = 1_000
ALWAYS_KEPT: Final = 10_000
"""The newest facts are never deleted by age: the clock of a Pi without a battery may be wrong by years."""
_COLUMNS: Final = ", ".join(FACT_COLUMNS)
_PLACEHOLDERS: Final = ", ".join("?" * len(FACT_COLUMNS))
_CHANGES: Final = ", ".join(f"{column} = excluded.{column}" for column in FACT_COLUMNS if column not in ("kind", "fact_id"))

_DROP_UNOPENED_RUNS: Final = (
    "DELETE FROM facts WHERE kind = 'flow' AND cause <> 'closed_valve' AND ended = 0 AND opened = 0"
    " AND odometer_to_ml = odometer_from_ml"
)


class ReportStatus(Enum):
    """The state of a pour that the core asks for, by this journal."""

    OPEN = auto()
    """Its report has no verdict yet."""
    SETTLED = auto()
    """Its report has a verdict."""
    NOW_DEAD = auto()
    """It was unknown or never opened, and is now marked as dead and reported as never started."""
    RUNNING = auto()
    ELSEWHERE = auto()
    """It belongs to another journal."""
    LOST = auto()
    """It was granted here, but its report was deleted or can't be read."""


class Journal:
    """One tap's journal, open for writing in one process and one thread."""

    def __init__(
        self, db: sqlite3.Connection, lock: TextIOWrapper, journal_id: UUID, boot_id: UUID, reserve: DiskReserve | None = None
    ) -> None:
        self._db = db
        self._lock = lock
        self.journal_id = journal_id
        self._boot_id = boot_id
        self._reserve = reserve

    @classmethod
    def open(cls, file: Path, device_path: str, boot_id: UUID, reserve: DiskReserve | None = None) -> Self:
        """Open or create the journal and migrate it; raises `JournalBroken`, after setting a damaged file aside.

        On a full disk the reserve is given up for this.
        """
        try:
            return cls._open(file, device_path, boot_id, reserve)
        except JournalFull:
            if reserve is None or not reserve.release():
                raise
        return cls._open(file, device_path, boot_id, reserve)

    @classmethod
    def _open(cls, file: Path, device_path: str, boot_id: UUID, reserve: DiskReserve | None) -> Self:
        with journal_errors():
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = take_lock(file)
            try:
                refuse_beside_damaged(file)
                require_sound(file)
                db, journal_id = open_claimed(file, device_path, lock)
            except sqlite3.Error as error:
                lock.close()
                if is_damage(error):
                    raise set_aside(file, str(error)) from error
                raise
            except BaseException:
                lock.close()
                raise
        return cls(db, lock, journal_id, boot_id, reserve)

    def allocate_reserve(self) -> None:
        """Reserve room for the facts of a running pour; raises `JournalFull` when there is none."""
        if self._reserve is not None:
            with journal_errors():
                self._reserve.allocate()

    def release_reserve(self) -> bool:
        """Free the reserve for writing; return whether there was one."""
        with journal_errors():
            return self._reserve is not None and self._reserve.release()

    def close(self) -> None:
        """Close the file and release its lock."""
        self._db.close()
        self._lock.close()

    # ── after a start ───────────────────────────────────────────────────────

    def recover(self) -> RecoveredJournal:
        """End the facts that an earlier boot left running, and return the content; a second call in this boot ends nothing."""
        with self._write() as db:
            boot_id = str(self._boot_id)
            interrupted = db.execute(
                """
                UPDATE facts SET ended = 1, end_reason = ?, interrupted = 1
                WHERE ended = 0 AND kind = 'pour' AND opened AND boot_id <> ?
                """,
                (EndReason.POWER_LOSS.value, boot_id),
            ).rowcount
            db.execute(
                "UPDATE facts SET ended = 1, end_reason = ? WHERE ended = 0 AND kind = 'pour' AND boot_id <> ?",
                (EndReason.NEVER_STARTED.value, boot_id),
            )
            db.execute(_DROP_UNOPENED_RUNS + " AND boot_id <> ?", (boot_id,))
            db.execute("UPDATE facts SET ended = 1 WHERE ended = 0 AND kind = 'flow' AND boot_id <> ?", (boot_id,))
            journal = db.execute("SELECT * FROM journal").fetchone()
            closings = db.execute(
                "SELECT latency_ms FROM facts WHERE latency_ms IS NOT NULL ORDER BY number DESC LIMIT ?", (REMEMBERED_CLOSINGS,)
            ).fetchall()
            unsettled = db.execute("SELECT * FROM facts WHERE verdict IS NULL ORDER BY number").fetchall()
        return RecoveredJournal(
            journal_id=self.journal_id,
            odometer_ml=journal["odometer_ml"],
            odometer_remainder=journal["odometer_remainder"],
            pulses_per_liter=journal["pulses_per_liter"],
            config=_config(journal["config"]),
            unsettled=tuple(ids_of(unsettled, "pour")),
            open_flows=frozenset(ids_of(unsettled, "flow")),
            interrupted=interrupted > 0,
            closings=tuple(row["latency_ms"] for row in reversed(closings)),
            unreadable=tuple(row["fact_id"] for row in unsettled if row["ended"] and read_row(row) is None),
        )

    def open_facts(self, limit: int) -> list[Fact]:
        """Ended facts without a verdict, the oldest first; unreadable ones are left out (`RecoveredJournal.unreadable`)."""
        query = "SELECT * FROM facts WHERE verdict IS NULL AND ended = 1 ORDER BY number"
        with journal_errors():
            readable = (fact for row in self._db.execute(query) if (fact := read_row(row)) is not None)
            return list(islice(readable, limit))

    def delete_older_than(self, days: int) -> None:
        """Delete facts whose verdict is older, except the newest `ALWAYS_KEPT`.

        Pour ids stay, so that the core hears of a deleted report that it is lost.
        """
        before = (TIME_OF_DAY.now() - timedelta(days=days)).isoformat()
        with self._write() as db:
            db.execute(
                "DELETE FROM facts WHERE verdict_at < ? AND number <= (SELECT max(number) FROM facts) - ?", (before, ALWAYS_KEPT)
            )

    # ── questions and grants ────────────────────────────────────────────────

    def next_seq(self, card_uid: str) -> int:
        """Write and return the next question's `seq`, which is never used again; raises `JournalFull` without the reserve."""
        self.allocate_reserve()
        with self._write() as db:
            row = db.execute("UPDATE journal SET seq = seq + 1, last_card_uid = ? RETURNING seq", (card_uid,)).fetchone()
        return int(row["seq"])

    def record_grant(self, grant: PourAuthorized, started_at: str, odometer_ml: int) -> bool:
        """Write a grant as a running fact; return False when the journal already has the pour's id, as a grant or as dead.

        Raises `JournalFull` without the reserve.
        """
        self.allocate_reserve()
        with self._write() as db:
            if not self._insert_id(grant.pour_id, "grant"):
                return False
            db.execute(
                """
                INSERT INTO facts (kind, fact_id, card_uid, started_at, ended, odometer_from_ml, odometer_to_ml,
                                   journal_id, boot_id, recorded_at)
                VALUES ('pour', ?1, ?2, ?3, 0, ?4, ?4, ?5, ?6, ?7)
                """,
                (
                    str(grant.pour_id),
                    grant.card_uid,
                    started_at,
                    odometer_ml,
                    str(self.journal_id),
                    str(self._boot_id),
                    wall_clock(),
                ),
            )
        return True

    def record_tombstone(self, pour_id: UUID) -> None:
        """Mark an id as dead unless the journal has it."""
        with self._write():
            self._insert_id(pour_id, "dead")

    def record_refusal(self, report: Fact) -> Fact | None:
        """Mark a grant as dead and write its report; return None if the valve was opened for it, or a report exists or existed."""
        with self._write():
            self._insert_id(report.fact_id, "dead")
            known = self._fact_row(report.fact_id)
            if known["ended"] or known["opened"] if known is not None else self._was_granted(report.fact_id):
                return None
            self._put_fact(report, ended=True)
        return report

    def find_report(self, asked_journal_id: UUID, report: Fact) -> tuple[ReportStatus, Fact | None]:
        """Find a pour's report. A pour of this journal that it never had is marked as dead, and `report` is written for it."""
        known = self._fact_row(report.fact_id)
        if known is not None and known["ended"]:
            fact = read_row(known)
            if fact is None:
                return ReportStatus.LOST, None
            return ReportStatus.OPEN if known["verdict"] is None else ReportStatus.SETTLED, fact
        if known is None and asked_journal_id != self.journal_id:
            return ReportStatus.ELSEWHERE, None
        if known is None and self._was_granted(report.fact_id):
            return ReportStatus.LOST, None
        refused = self.record_refusal(self._with_card(report, known))
        return (ReportStatus.NOW_DEAD, refused) if refused else (ReportStatus.RUNNING, None)

    def _with_card(self, report: Fact, known: sqlite3.Row | None) -> Fact:
        """The report with the card of the grant, or of the last question, as only its grant can be missing."""
        assert isinstance(report.message, PourCompleted)
        with journal_errors():
            row = known or self._db.execute("SELECT last_card_uid AS card_uid FROM journal").fetchone()
        return Fact(replace(report.message, card_uid=row["card_uid"] or report.message.card_uid), report.ended_ms)

    # ── facts ───────────────────────────────────────────────────────────────

    def record_report(self, report: Fact, odometer: Odometer) -> Fact:
        """Write a pour's report; an existing report stays and is returned."""
        with self._write():
            known = self._fact_row(report.fact_id)
            if known is not None and known["ended"]:
                return row_to_fact(known)
            self._insert_id(report.fact_id, "grant")
            self._put_fact(report, ended=True)
            self._put_odometer(odometer)
        return report

    def record_flow(self, report: Fact, odometer: Odometer, *, ended: bool) -> None:
        """Write a flow without a grant, running or ended."""
        with self._write():
            self._put_fact(report, ended=ended)
            self._put_odometer(odometer)

    def drop_run(self, run_id: UUID) -> None:
        """Delete a service run for which the valve never opened."""
        with self._write() as db:
            db.execute(_DROP_UNOPENED_RUNS + " AND fact_id = ?", (str(run_id),))

    def checkpoint(self, odometer: Odometer, fact_id: UUID | None, odometer_from_ml: int, duration_ms: int) -> None:
        """Write the odometer and the running fact's stretch and duration."""
        with self._write() as db:
            self._put_odometer(odometer)
            if fact_id is not None:
                db.execute(
                    """
                    UPDATE facts SET opened = 1, odometer_from_ml = ?, odometer_to_ml = ?, duration_ms = ?
                    WHERE fact_id = ? AND ended = 0
                    """,
                    (odometer_from_ml, odometer.ml, duration_ms, str(fact_id)),
                )

    def record_verdict(self, fact_id: UUID, verdict: bytes) -> None:
        """Store the verdict on a fact; the first one stays."""
        with self._write() as db:
            db.execute(
                "UPDATE facts SET verdict = ?, verdict_at = ? WHERE fact_id = ? AND ended = 1 AND verdict IS NULL",
                (verdict, wall_clock(), str(fact_id)),
            )

    def record_config(self, config: TapConfig) -> None:
        """Store the config for the next boot."""
        with self._write() as db:
            db.execute("UPDATE journal SET config = ?", (encode(config),))

    def renew(self, journal_id: UUID) -> None:
        """Give the journal a new id, whose questions count from 1. Its facts stay those of the id under which they flowed."""
        with self._write() as db:
            db.execute("UPDATE journal SET journal_id = ?, seq = 0", (str(journal_id),))
        self.journal_id = journal_id

    def record_alarm(self, text: str) -> None:
        """Store an alarm for the technician; only the last `MAX_ALARMS` stay."""
        with self._write() as db:
            db.execute("INSERT INTO alarms (raised_at, text) VALUES (?, ?)", (wall_clock(), text))
            db.execute("DELETE FROM alarms WHERE number <= (SELECT max(number) FROM alarms) - ?", (MAX_ALARMS,))

    # ── pieces ──────────────────────────────────────────────────────────────

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with journal_errors(), transaction(self._db):
            yield self._db

    def _fact_row(self, fact_id: UUID) -> sqlite3.Row | None:
        with journal_errors():
            row: sqlite3.Row | None = self._db.execute("SELECT * FROM facts WHERE fact_id = ?", (str(fact_id),)).fetchone()
        return row

    def _was_granted(self, pour_id: UUID) -> bool:
        query = "SELECT 1 FROM pour_ids WHERE pour_id = ? AND kind = 'grant'"
        with journal_errors():
            return self._db.execute(query, (str(pour_id),)).fetchone() is not None

    def _insert_id(self, pour_id: UUID, kind: str) -> bool:
        row = (str(pour_id), kind, wall_clock())
        return self._db.execute("INSERT INTO pour_ids VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount == 1

    def _put_fact(self, fact: Fact, *, ended: bool) -> None:
        row = fact_to_row(fact)
        self._db.execute(
            f"""
            INSERT INTO facts ({_COLUMNS}, ended, recorded_at) VALUES ({_PLACEHOLDERS}, ?, ?)
            ON CONFLICT (fact_id) DO UPDATE SET {_CHANGES}, ended = excluded.ended WHERE facts.ended = 0
            """,  # noqa: S608 - the column names are ours
            (*row, int(ended), wall_clock()),
        )

    def _put_odometer(self, odometer: Odometer) -> None:
        self._db.execute(
            "UPDATE journal SET odometer_ml = ?, odometer_remainder = ?, pulses_per_liter = ?",
            (odometer.ml, odometer.remainder, odometer.pulses_per_liter),
        )


def open_claimed(file: Path, device_path: str, lock: TextIOWrapper) -> tuple[sqlite3.Connection, UUID]:
    """Open the file and claim it; return the connection and the journal's id. Raises what SQLite and the file system raise."""
    db = connect(file)
    try:
        with transaction(db):
            claimed = claim_journal(db, place_of(file, device_path), lock)
        write_generation(lock, claimed.generation)
    except BaseException:
        db.close()
        raise
    return db, claimed.journal_id


def _config(stored: bytes | None) -> TapConfig | None:
    """The stored config; None when it can no longer be read, as the core sends it again."""
    if stored is None:
        return None
    try:
        config = decode(CONFIG, stored)
    except Malformed:
        return None
    assert isinstance(config, TapConfig)
    return config
