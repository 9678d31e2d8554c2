"""Liveness and readiness probes."""

from litestar import get
from litestar.exceptions import ServiceUnavailableException
from msgspec import Struct

from tapwire_admin.access.auth import EVERYBODY
from tapwire_admin.requests.dependencies import Db
from tapwire_core.db.failures import is_ready


class Health(Struct, frozen=True):
    """A passed probe."""

    status: str = "ok"


@get("/health/live", access=EVERYBODY)
async def read_live() -> Health:
    """Liveness: the process answers."""
    return Health()


@get("/health/ready", access=EVERYBODY)
async def read_ready(db: Db) -> Health:
    """Readiness: the database answers too."""
    if not await is_ready(db):
        raise ServiceUnavailableException("The database does not answer.")
    return Health()


HANDLERS = (read_live, read_ready)
