"""The whole installation in one look."""

from litestar import get

from tapwire_admin.auth import OPERATOR
from tapwire_admin.given import Db
from tapwire_core.db.views.system import Status, read_status


@get("/system/status", access=OPERATOR)
async def read_system_status(db: Db) -> Status:
    """What runs, what waits, and what a person must look at."""
    return await read_status(db)


HANDLERS = (read_system_status,)
