"""Recent activity at the counter, from the audit log."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from litestar import get
from litestar.response import Response
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import Db
from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database
from tapwire_core.db.views.audit import AuditEntryView, list_audit
from tapwire_core.db.views.guests import names_of_guests
from tapwire_core.db.views.queries import PageRequest

MAX_ENTRIES: Final = 12
COUNTER: Final = frozenset(
    {
        AuditAction.VISIT_OPENED,
        AuditAction.VISIT_CLOSED,
        AuditAction.VISIT_FORCE_UNLOCK,
        AuditAction.SERVING_LIMIT_REARMED,
        AuditAction.ALCOHOL_CHANGED,
        AuditAction.VISIT_EXTENDED,
        AuditAction.VISIT_CHECKED_OUT,
        AuditAction.CARD_ASSIGNED,
        AuditAction.CARD_ISSUE_REFUSED,
        AuditAction.CARD_LOST,
        AuditAction.CARD_RESTORED,
        AuditAction.GUEST_CREATED,
        AuditAction.TOP_UP,
        AuditAction.REFUND,
        AuditAction.ADJUSTMENT,
        AuditAction.COMP,
        AuditAction.TOP_UP_REVERSED,
        AuditAction.PAYMENT_PAID,
        AuditAction.PAYMENT_REVERSED,
        AuditAction.RECONCILE_DONE,
        AuditAction.SHIFT_OPENED,
        AuditAction.SHIFT_CLOSED,
        AuditAction.CASH_MOVED,
        AuditAction.SHIFT_COUNTED,
    }
)
"""Actions at the counter."""


class NamedEntry(Struct, frozen=True):
    """An entry of the audit log with its guest."""

    entry: AuditEntryView
    guest_id: str | None
    guest_name: str | None


@get("/parts/activity", access=OPERATOR)
async def show_activity(db: Db, viewer: CurrentViewer) -> Response[str]:
    """The latest activity at the counter."""
    return viewer.show("parts/activity.html", entries=await latest_at_counter(db))


async def latest_at_counter(db: Database) -> list[NamedEntry]:
    """The latest entries of actions at the counter."""
    return await with_names(db, (await list_audit(db, actions=COUNTER, page=PageRequest(limit=MAX_ENTRIES))).items)


async def with_names(db: Database, entries: Iterable[AuditEntryView]) -> list[NamedEntry]:
    """Add the guests' names to entries."""
    shown = list(entries)
    names = await names_of_guests(db, {found for entry in shown for found in map(_uuid, entry.subjects) if found})
    guest_ids = [next((subject for subject in entry.subjects if subject in names), None) for entry in shown]
    return [NamedEntry(entry, guest, names.get(guest or "")) for entry, guest in zip(shown, guest_ids, strict=True)]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


HANDLERS = (show_activity,)
