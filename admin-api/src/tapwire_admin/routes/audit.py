"""The audit log."""

from datetime import datetime

from litestar import get

from tapwire_admin.auth import OPERATOR
from tapwire_admin.given import AskedPage, AskedText, Db, FromQuery
from tapwire_core.db.views import operations as views
from tapwire_core.db.views.operations import AuditEntryView
from tapwire_core.db.views.reading import Page


@get("/audit", access=OPERATOR)
async def list_audit(
    db: Db,
    page: AskedPage,
    action: AskedText = None,
    subject: AskedText = None,
    since: FromQuery[datetime | None] = None,
) -> Page[AuditEntryView]:
    """What happened, the latest first; `subject` is any id that an entry is about, `since` a time with its zone."""
    return await views.list_audit(db, action=action, subject=subject, since=since, page=page)


HANDLERS = (list_audit,)
