"""The audit log."""

from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.params import Parameter

from tapwire_admin.auth import OPERATOR
from tapwire_admin.bounds import NO_NUL
from tapwire_core.db.engine import Database
from tapwire_core.db.views import operations as views
from tapwire_core.db.views.operations import AuditEntryView
from tapwire_core.db.views.reading import Page, PageRequest
from tapwire_core.services.limits import MAX_NAME_LENGTH

Word = Annotated[str | None, Parameter(max_length=MAX_NAME_LENGTH, pattern=NO_NUL)]


@get("/audit", access=OPERATOR)
async def list_audit(
    db: Database, page: PageRequest, action: Word = None, subject: Word = None, since: datetime | None = None
) -> Page[AuditEntryView]:
    """What happened, the latest first; `subject` is any id that an entry is about, `since` a time with its zone."""
    return await views.list_audit(db, action=action, subject=subject, since=since, page=page)


HANDLERS = (list_audit,)
