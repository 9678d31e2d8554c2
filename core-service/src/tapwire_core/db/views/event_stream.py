"""The audit log as a stream: read on from an id, in order, skipping nothing.

Ids are given before their transactions commit, so a smaller id may appear after a larger one, and a reader that went on from the
largest id it saw would lose such a row. So it stops before a gap in the ids, until every transaction that was writing to the log
when the gap was found has ended: then the missing rows are there, or will never be.

Who writes is known by the lock on the table, which is taken before an id is and let go after the row is seen. A snapshot's `xmax`
would not do: transactions that began after the latest one to end are above it, and run all the same.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, Self

from msgspec import Struct
from sqlalchemy import Select, func, select, text

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import AuditEntry
from tapwire_core.db.views.audit import AuditEntryView
from tapwire_core.db.views.queries import read_all, table

audit: Final = table(AuditEntry)

BATCH: Final = 200
"""The most facts of one look."""
SETTLED_AFTER: Final = 2_000
"""So many facts later, a transaction that wrote one has ended."""


class EventKind(StrEnum):
    """The subject of an event; `audit` where it has no other."""

    POUR = "pour"
    INCIDENT = "incident"
    VISIT = "visit"
    SHIFT = "shift"
    AUDIT = "audit"


KIND_OF: Final = {
    **dict.fromkeys(
        (
            AuditAction.POUR_AUTHORIZED,
            AuditAction.POUR_VOIDED,
            AuditAction.POUR_SYNCED,
            AuditAction.OVERPOUR_CHARGED,
            AuditAction.OVERPOUR_WRITTEN_OFF,
            AuditAction.SYNC_REJECTED_INSUFFICIENT_FUNDS,
            AuditAction.SYNC_REJECTED_INVALID_REPORT,
            AuditAction.SYNC_MISSING_PENDING,
            AuditAction.LATE_SYNC_MATCHED,
            AuditAction.LATE_SYNC_MISMATCH,
            AuditAction.RECONCILE_DONE,
        ),
        EventKind.POUR,
    ),
    **dict.fromkeys(
        (
            AuditAction.VISIT_OPENED,
            AuditAction.VISIT_CLOSED,
            AuditAction.VISIT_FORCE_UNLOCK,
            AuditAction.CARD_ASSIGNED,
            AuditAction.CARD_LOST,
            AuditAction.CARD_ISSUE_REFUSED,
        ),
        EventKind.VISIT,
    ),
    **dict.fromkeys((AuditAction.SHIFT_OPENED, AuditAction.SHIFT_CLOSED, AuditAction.Z_REPORT_MADE), EventKind.SHIFT),
    **dict.fromkeys((AuditAction.INCIDENT_RAISED, AuditAction.INCIDENT_CLAIMED, AuditAction.INCIDENT_RESOLVED), EventKind.INCIDENT),
}


def kind_of(action: str) -> EventKind:
    """Classify an entry of the audit log."""
    return KIND_OF.get(AuditAction(action), EventKind.AUDIT)


class _Gap(Struct, frozen=True):
    """Ids that are missing before a fact that was seen, and the transactions that may still bring them."""

    seen_id: int
    writers: frozenset[str]


class AuditReader:
    """Reads the audit log on from an id; for one listener."""

    def __init__(self, db: Database, after: int, known: Iterable[int] = ()) -> None:
        self._db: Final = db
        self.after = after
        self._known: Final = set(known)
        self._gap: _Gap | None = None

    @classmethod
    async def from_now(cls, db: Database) -> Self:
        """A reader of what is not there yet: of facts before the newest one too, whose transactions have not ended."""
        async with db.engine.connect() as connection:
            newest_first = (await connection.execute(_newest_ids())).scalars().all()
        known = newest_first[::-1]
        after = known[0] if len(known) == SETTLED_AFTER else 0
        for audit_id in known:
            if audit_id > after + 1:
                break
            after = audit_id
        return cls(db, after, (audit_id for audit_id in known if audit_id > after))

    async def read_on(self) -> list[AuditEntryView]:
        """The next facts, at most `BATCH`."""
        complete_to = await self._complete_to()
        rows = await read_all(self._db, _entries_after(self.after).limit(BATCH), AuditEntryView)
        facts: list[AuditEntryView] = []
        for row in rows:
            if row.audit_id > max(self.after + 1, complete_to):
                if await self._is_new_gap(row.audit_id):
                    return facts or await self.read_on()
                return facts
            self.after = row.audit_id
            if row.audit_id in self._known:
                self._known.remove(row.audit_id)
            else:
                facts.append(row)
        return facts if facts or len(rows) < BATCH else await self.read_on()

    async def _complete_to(self) -> int:
        """The id below which no row can still appear; read it before the rows."""
        if self._gap is None or self._gap.writers & await self._writers():
            return 0
        return self._gap.seen_id

    async def _is_new_gap(self, seen_id: int) -> bool:
        """Note a gap before this id; whether it is a new one that nobody writes into: what was missing may be there by now."""
        if self._gap is not None and seen_id <= self._gap.seen_id:
            return False
        self._gap = _Gap(seen_id, await self._writers())
        return not self._gap.writers

    async def _writers(self) -> frozenset[str]:
        """The transactions that have written to the log and run, or are about to."""
        async with self._db.engine.connect() as connection:
            return frozenset((await connection.execute(_WRITERS)).scalars())


_WRITERS: Final = text(
    """SELECT virtualtransaction FROM pg_locks
       WHERE relation = 'audit'::regclass AND mode = 'RowExclusiveLock'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
)


async def read_audit(db: Database, after: int, until: int) -> list[AuditEntryView]:
    """Facts of the past again, at most `BATCH`: up to an id that a `FactsReader` has come to, so that none is missing."""
    return await read_all(db, _entries_after(after).where(audit.c.audit_id <= until).limit(BATCH), AuditEntryView)


async def newest_audit_id(db: Database) -> int:
    """The highest id of a fact that is there; ids go back when a backup is restored."""
    async with db.engine.connect() as connection:
        return int((await connection.execute(select(func.coalesce(func.max(audit.c.audit_id), 0)))).scalar_one())


def _newest_ids() -> Select[Any]:
    return select(audit.c.audit_id).order_by(audit.c.audit_id.desc()).limit(SETTLED_AFTER)


def _entries_after(after: int) -> Select[Any]:
    return select(*audit.c).where(audit.c.audit_id > after).order_by(audit.c.audit_id)
