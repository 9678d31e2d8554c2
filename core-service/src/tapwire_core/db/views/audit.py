"""The audit log, in pages."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import FromClause, select

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import AuditEntry
from tapwire_core.db.views.queries import (
    FIRST_PAGE,
    Page,
    PageRequest,
    read_all,
    read_page,
    table,
)

audit: Final = table(AuditEntry)
_ID_OF_ONE: Final = re.compile("[0-9A-Fa-f-]{8,36}")
"""A UUID or a card's number."""


class AuditEntryView(Struct, frozen=True):
    """An audited action, with its actor and subjects; `venue_id`: the venue that it is about, null for none."""

    audit_id: int
    action: str
    actor: str
    subjects: tuple[str, ...]
    details: dict[str, Any]
    request_id: str | None
    created_at: datetime
    venue_id: str | None


async def list_audit(
    db: Database,
    *,
    action: str | None = None,
    actions: Collection[AuditAction] | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    page: PageRequest = FIRST_PAGE,
) -> Page[AuditEntryView]:
    """The audit log, the latest first; `subject` is any id that an entry is about."""
    entries = _entries_about(subject)
    statement = select(*(entries.c[name].label(name) for name in AuditEntryView.__struct_fields__))
    if action is not None:
        statement = statement.where(entries.c.action == action)
    if actions is not None:
        statement = statement.where(entries.c.action.in_([wanted.value for wanted in actions]))
    if since is not None:
        statement = statement.where(entries.c.created_at >= since)
    return await read_page(db, statement, AuditEntryView, [entries.c.audit_id], page, newest_first=True)


def _entries_about(subject: str | None) -> FromClause:
    """The entries about a subject.

    Of one pour or guest there are few, which the index of subjects finds; among some ten million the planner expects more, and
    would rather read the whole log backwards. Of a tap or a venue there may be very many: their latest ones are found that way.
    """
    if subject is None:
        return audit
    about = select(*audit.c).where(audit.c.subjects.contains([subject]))
    if _ID_OF_ONE.fullmatch(subject):
        return about.cte("about").prefix_with("MATERIALIZED", dialect="postgresql")
    return about.subquery("about")


async def entries_by_id(db: Database, audit_ids: Collection[int]) -> list[AuditEntryView]:
    """These entries, in any order."""
    return await read_all(db, select(*audit.c).where(audit.c.audit_id.in_(audit_ids)), AuditEntryView) if audit_ids else []
