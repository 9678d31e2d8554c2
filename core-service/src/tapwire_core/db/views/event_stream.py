"""The audit log as a stream: read from an id on, in order, skipping nothing.

Ids are assigned before their transactions commit, so a smaller id may appear after a larger one, and a reader that continued from
the largest id it saw would lose such a row. So it stops before a gap in the ids until every transaction that was writing to the log
when the gap was found has ended: by then the missing rows are visible, or will never exist.

Writers are found by their lock on the table, which they take before an id and release after the row is visible. A snapshot's `xmax`
is no substitute: transactions that began after the latest one to end are above it, and are running all the same.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Select, Text, cast, func, select, text, union_all

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import AuditEntry, Beverage, Card, Guest
from tapwire_core.db.views.audit import AuditEntryView
from tapwire_core.db.views.queries import read_all, table
from tapwire_core.domain.venue_scope import ALL_VENUES

audit: Final = table(AuditEntry)
guests: Final = table(Guest)
cards: Final = table(Card)
beverages: Final = table(Beverage)

BATCH: Final = 200
"""The most entries of one read."""
SETTLED_AFTER: Final = 2_000
"""Number of later entries after which a transaction that wrote one is assumed to have ended."""


class EventKind(StrEnum):
    """The subject of an entry; `audit` where it has no other."""

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
            AuditAction.SERVING_LIMIT_REARMED,
            AuditAction.ALCOHOL_CHANGED,
            AuditAction.VISIT_EXTENDED,
            AuditAction.VISIT_CHECKED_OUT,
        ),
        EventKind.VISIT,
    ),
    **dict.fromkeys(
        (
            AuditAction.SHIFT_OPENED,
            AuditAction.SHIFT_CLOSED,
            AuditAction.CASH_MOVED,
            AuditAction.SHIFT_COUNTED,
            AuditAction.Z_REPORT_MADE,
        ),
        EventKind.SHIFT,
    ),
    **dict.fromkeys((AuditAction.INCIDENT_RAISED, AuditAction.INCIDENT_CLAIMED, AuditAction.INCIDENT_RESOLVED), EventKind.INCIDENT),
}


def kind_of(action: str) -> EventKind:
    """Classify an entry of the audit log."""
    return KIND_OF.get(AuditAction(action), EventKind.AUDIT)


class _Gap(Struct, frozen=True):
    """Missing ids before an entry that was seen, and the transactions that may still commit them."""

    seen_id: int
    writers: frozenset[str]


class AuditReader:
    """Reads the audit log of all venues from an id on; for one listener, which leaves out what it may not see."""

    def __init__(self, db: Database, after: int, known: Iterable[int] = ()) -> None:
        self._db: Final = db.within(ALL_VENUES)
        self.after = after
        self._known: Final = set(known)
        self._gap: _Gap | None = None

    @classmethod
    async def from_now(cls, db: Database) -> Self:
        """A reader of future entries, including those before the newest one whose transactions have not ended."""
        async with db.within(ALL_VENUES).read() as connection:
            newest_first = (await connection.execute(_newest_ids())).scalars().all()
        known = newest_first[::-1]
        after = known[0] if len(known) == SETTLED_AFTER else 0
        for audit_id in known:
            if audit_id > after + 1:
                break
            after = audit_id
        return cls(db, after, (audit_id for audit_id in known if audit_id > after))

    async def read_next(self) -> list[AuditEntryView]:
        """The next entries, at most `BATCH`."""
        complete_to = await self._complete_to()
        rows = await read_all(self._db, _entries_after(self.after).limit(BATCH), AuditEntryView)
        entries: list[AuditEntryView] = []
        for row in rows:
            if row.audit_id > max(self.after + 1, complete_to):
                if await self._is_new_gap(row.audit_id):
                    return entries or await self.read_next()
                return entries
            self.after = row.audit_id
            if row.audit_id in self._known:
                self._known.remove(row.audit_id)
            else:
                entries.append(row)
        return entries if entries or len(rows) < BATCH else await self.read_next()

    async def _complete_to(self) -> int:
        """The id below which no row can still appear; read it before the rows."""
        if self._gap is None or self._gap.writers & await self._writers():
            return 0
        return self._gap.seen_id

    async def _is_new_gap(self, seen_id: int) -> bool:
        """Record a gap before this id; True if it is new and has no writers, so that its rows may be visible by now."""
        if self._gap is not None and seen_id <= self._gap.seen_id:
            return False
        self._gap = _Gap(seen_id, await self._writers())
        return not self._gap.writers

    async def _writers(self) -> frozenset[str]:
        """The running transactions that have written to the log, or are about to."""
        async with self._db.read() as connection:
            return frozenset((await connection.execute(_WRITERS)).scalars())


_WRITERS: Final = text(
    """SELECT virtualtransaction FROM pg_locks
       WHERE relation = 'audit'::regclass AND mode = 'RowExclusiveLock'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
)


async def read_audit(db: Database, after: int, until: int) -> list[AuditEntryView]:
    """Read past entries again, at most `BATCH`; `until` must be an id that an `AuditReader` has passed, so that none is missing."""
    return await read_all(db, _entries_after(after).where(audit.c.audit_id <= until).limit(BATCH), AuditEntryView)


async def shared_things(db: Database, subjects: Collection[str]) -> list[str]:
    """Those subjects of facts that are guests, cards or beverages, which belong to no venue."""
    ids = set[UUID]()
    for subject in subjects:
        with suppress(ValueError):
            ids.add(UUID(subject))
    if not subjects:
        return []
    known = union_all(
        select(cast(guests.c.guest_id, Text).label("subject")).where(guests.c.guest_id.in_(ids)),
        select(cast(beverages.c.beverage_id, Text)).where(beverages.c.beverage_id.in_(ids)),
        select(cast(cards.c.card_uid, Text)).where(cards.c.card_uid.in_(subjects)),
    )
    async with db.read() as connection:
        return list((await connection.execute(known)).scalars())


async def newest_audit_id(db: Database) -> int:
    """The highest visible id of any venue; a restored backup sets ids back."""
    async with db.within(ALL_VENUES).read() as connection:
        return int((await connection.execute(select(func.coalesce(func.max(audit.c.audit_id), 0)))).scalar_one())


def _newest_ids() -> Select[Any]:
    return select(audit.c.audit_id).order_by(audit.c.audit_id.desc()).limit(SETTLED_AFTER)


def _entries_after(after: int) -> Select[Any]:
    return select(*audit.c).where(audit.c.audit_id > after).order_by(audit.c.audit_id)
