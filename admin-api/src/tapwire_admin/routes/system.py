"""Status of the whole installation."""

from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.live import BrokerStatus, Live
from tapwire_admin.requests.dependencies import Db
from tapwire_core.db.views.system import ProgramStatus, SystemStatus, VenueStatus, list_programs, read_status


class Status(Struct, frozen=True, kw_only=True):
    """The installation, this process's connection to the broker, each program's processes, and each venue."""

    system: SystemStatus
    broker: BrokerStatus
    programs: list[ProgramStatus]
    venues: list[VenueStatus]


@get("/system/status", access=OPERATOR)
async def read_system_status(db: Db, live: NamedDependency[Live]) -> Status:
    """Running services, waiting work and open incidents."""
    status = await read_status(db)
    programs = await list_programs(db)
    return Status(system=status.system, broker=live.read_broker(), programs=programs, venues=status.venues)


HANDLERS = (read_system_status,)
