"""The audit log, filtered by action, subject and time."""

from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from litestar import Response, get

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.activity import with_names
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import Db, PageQuery, TextQuery
from tapwire_admin.requests.parameters import read_day_or_moment
from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.views.audit import list_audit

ACTIONS: Final = tuple(AuditAction)


@get("/audit", access=OPERATOR)
async def show_audit(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    page: PageQuery,
    action: TextQuery = None,
    subject: TextQuery = None,
    since: TextQuery = None,
) -> Response[str]:
    """The audit log, the latest first."""
    about = (subject or "").strip() or None
    day = read_day_or_moment("since", since) if since else None
    if day is not None and not isinstance(day, datetime):
        day = datetime(day.year, day.month, day.day, tzinfo=viewer.formats.zone)
    shown = await list_audit(db, action=action or None, subject=about, since=day, page=page)
    query = urlencode({name: value for name, value in (("action", action), ("subject", about), ("since", since)) if value})
    entries = await with_names(db, shown.items)
    context = {"entries": entries, "page": shown, "actions": ACTIONS, "query": query, "since": since or ""}
    return viewer.show("audit.html", shell=shell, action=action, subject=about, **context)


HANDLERS = (show_audit,)
