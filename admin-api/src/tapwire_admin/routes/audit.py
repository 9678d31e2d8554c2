"""The audit log."""

from litestar import get

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import Db, PageQuery, TextQuery
from tapwire_admin.requests.parameters import read_moment
from tapwire_core.db.views import audit as views
from tapwire_core.db.views.audit import AuditEntryView
from tapwire_core.db.views.queries import Page


@get("/audit", access=OPERATOR)
async def list_audit(
    db: Db,
    page: PageQuery,
    action: TextQuery = None,
    subject: TextQuery = None,
    since: TextQuery = None,
) -> Page[AuditEntryView]:
    """Entries of the audit log, the latest first; `subject` is any id that an entry names, `since` a time with its zone."""
    moment = read_moment("since", since) if since is not None else None
    return await views.list_audit(db, action=action, subject=subject, since=moment, page=page)


HANDLERS = (list_audit,)
