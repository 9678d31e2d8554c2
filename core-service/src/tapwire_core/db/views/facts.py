"""The audit log as a stream: read on from an id, in order, skipping nothing.

Ids are given before their transactions commit, so a smaller id may appear after a larger one, and a reader that went on from the
largest id it saw would lose such a row. So it stops before a gap in the ids, until every transaction that ran when the gap was
found has ended: then the missing rows are there, or will never be.
"""

from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, select

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import AuditEntry
from tapwire_core.db.views.operations import AuditEntryView
from tapwire_core.db.views.reading import table

audit: Final = table(AuditEntry)

BATCH: Final = 200
"""The most facts of one look."""


class FactKind(StrEnum):
    """What a fact is about; what is about nothing else is `audit`."""

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
        FactKind.POUR,
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
        FactKind.VISIT,
    ),
    **dict.fromkeys((AuditAction.SHIFT_OPENED, AuditAction.SHIFT_CLOSED, AuditAction.Z_REPORT_MADE), FactKind.SHIFT),
    **dict.fromkeys((AuditAction.INCIDENT_RAISED, AuditAction.INCIDENT_CLAIMED, AuditAction.INCIDENT_RESOLVED), FactKind.INCIDENT),
}


def kind_of(action: str) -> FactKind:
    """What an entry of the audit log is about."""
    return KIND_OF.get(AuditAction(action), FactKind.AUDIT)


class _Gap(Struct, frozen=True):
    """Ids that are missing, and the transactions that may still bring them: those below `until`."""

    audit_id: int
    until: int


class FactsReader:
    """Reads the audit log on from an id; for one listener."""

    def __init__(self, db: Database, after: int) -> None:
        self._db: Final = db
        self._after = after
        self._gap: _Gap | None = None

    async def read_on(self) -> list[AuditEntryView]:
        """The next facts, at most `BATCH`."""
        running, coming = (_transaction(getattr(func, name)) for name in ("pg_snapshot_xmin", "pg_snapshot_xmax"))
        statement = (
            select(*audit.c, running.label("running"), coming.label("coming"))
            .where(audit.c.audit_id > self._after)
            .order_by(audit.c.audit_id)
            .limit(BATCH)
        )
        async with self._db.engine.connect() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        facts: list[AuditEntryView] = []
        for row in rows:
            if row["audit_id"] > self._after + 1 and not self._is_final(row["running"], row["coming"]):
                break
            facts.append(msgspec.convert(dict(row), AuditEntryView))
            self._after, self._gap = row["audit_id"], None
        return facts

    def _is_final(self, running: int, coming: int) -> bool:
        """Whether nothing can come any more between the last fact and the next row seen."""
        if self._gap is None or self._gap.audit_id != self._after:
            self._gap = _Gap(self._after, coming)
        return running >= self._gap.until


async def newest_fact(db: Database) -> int:
    """The id to read on from, to hear only what is new."""
    async with db.engine.connect() as connection:
        found: int | None = (await connection.execute(select(func.max(audit.c.audit_id)))).scalar_one()
    return found or 0


def _transaction(of_snapshot: Any) -> ColumnElement[int]:
    """The oldest transaction that runs, or the next one that will: as the snapshot of this very statement says."""
    return cast(cast(of_snapshot(func.pg_current_snapshot()), Text), BigInteger)
