"""The status of the whole installation."""

from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Select, and_, column, func, literal, select, text, true

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.reasons import IncidentStatus, Presence, SyncStatus
from tapwire_core import SOFTWARE
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import (
    Command,
    DeadLetter,
    Device,
    Incident,
    NodeStatus,
    Pour,
    ProgramHeartbeat,
    Shift,
    Tap,
    Venue,
    Visit,
)
from tapwire_core.db.views.queries import age_ms, read_all, read_one, table
from tapwire_core.db.views.taps import is_confirmed
from tapwire_core.db.writes.heartbeats import MISSED_BEATS
from tapwire_core.domain.closed_sets import Program

venues: Final = table(Venue)
shifts: Final = table(Shift)
taps: Final = table(Tap)
nodes: Final = table(NodeStatus)
devices: Final = table(Device)
visits: Final = table(Visit)
pours: Final = table(Pour)
incidents: Final = table(Incident)
heartbeats: Final = table(ProgramHeartbeat)
outbox: Final = table(Command)
dead_letters: Final = table(DeadLetter)


class VenueStatus(Struct, frozen=True):
    """A venue now. A tap is unconfirmed while its node is offline or has not confirmed the newest config."""

    venue_id: str
    shift_open: bool
    emergency_stop: bool
    taps: int
    taps_online: int
    taps_unconfirmed: int
    active_visits: int
    pending_pours: int


class SystemStatus(Struct, frozen=True):
    """Queues, and the age of the oldest entry of each; null where a queue is empty."""

    now: datetime
    software: str
    contract_version: str
    schema_revision: str
    """The database's revision; the program starts only on its own."""
    currency: str
    devices: int
    pending_pours: int
    oldest_pending_ms: int | None
    open_incidents: int
    claimed_incidents: int
    commands_waiting: int
    oldest_command_ms: int | None
    dead_letters: int


class ProgramStatus(Struct, frozen=True):
    """A process that keeps a heartbeat: a core worker, `sync-broker`, or the backup loop.

    `running` is false when it has missed three beats.
    """

    program: Program
    instance: str
    running: bool
    started_at: datetime
    beat_at: datetime
    beat_age_ms: int


class Status(Struct, frozen=True):
    """The installation, and each of its venues."""

    system: SystemStatus
    venues: list[VenueStatus]


async def read_status(db: Database) -> Status:
    """Read the status of the whole installation."""
    system = await read_one(db, _system(db), SystemStatus)
    assert system is not None
    return Status(system, await read_all(db, _venues(), VenueStatus))


async def list_programs(db: Database) -> list[ProgramStatus]:
    """List the processes with a heartbeat, the latest of each program first."""
    age = age_ms(heartbeats.c.beat_at)
    statement = select(
        heartbeats.c.program,
        heartbeats.c.instance,
        (age < MISSED_BEATS * heartbeats.c.interval_ms).label("running"),
        heartbeats.c.started_at,
        heartbeats.c.beat_at,
        age.label("beat_age_ms"),
    )
    return await read_all(db, statement.order_by(heartbeats.c.program, heartbeats.c.beat_at.desc()), ProgramStatus)


def _system(db: Database) -> Select[Any]:
    pending = pours.c.sync_status == SyncStatus.PENDING_SYNC.value
    return select(
        func.now().label("now"),
        literal(SOFTWARE).label("software"),
        literal(CONTRACT_VERSION).label("contract_version"),
        select(column("version_num")).select_from(text("alembic_version")).scalar_subquery().label("schema_revision"),
        literal(db.policy.currency).label("currency"),
        _count(devices, devices.c.revoked_at.is_(None)).label("devices"),
        _count(pours, pending).label("pending_pours"),
        select(age_ms(func.min(pours.c.authorized_at))).where(pending).scalar_subquery().label("oldest_pending_ms"),
        _count(incidents, incidents.c.status == IncidentStatus.OPEN.value).label("open_incidents"),
        _count(incidents, incidents.c.status == IncidentStatus.CLAIMED.value).label("claimed_incidents"),
        _count(outbox, true()).label("commands_waiting"),
        select(age_ms(func.min(outbox.c.created_at))).scalar_subquery().label("oldest_command_ms"),
        _count(dead_letters, true()).label("dead_letters"),
    )


def _venues() -> Select[Any]:
    of_venue = taps.c.venue_id == venues.c.venue_id
    online = select(nodes.c.path).where(nodes.c.path == taps.c.tap_path, nodes.c.status == Presence.ONLINE.value).exists()
    confirmed = select(nodes.c.path).where(nodes.c.path == taps.c.tap_path, is_confirmed()).exists()
    return select(
        venues.c.venue_id,
        venues.c.emergency_stop,
        select(shifts.c.shift_id)
        .where(shifts.c.venue_id == venues.c.venue_id, shifts.c.status == "open")
        .exists()
        .label("shift_open"),
        _count(taps, of_venue).label("taps"),
        _count(taps, and_(of_venue, online)).label("taps_online"),
        _count(taps, and_(of_venue, ~confirmed)).label("taps_unconfirmed"),
        _count(visits, and_(visits.c.venue_id == venues.c.venue_id, visits.c.status == "active")).label("active_visits"),
        _count(pours, and_(pours.c.venue_id == venues.c.venue_id, pours.c.sync_status == SyncStatus.PENDING_SYNC.value)).label(
            "pending_pours"
        ),
    ).order_by(venues.c.venue_id)


def _count(rows: Any, wanted: Any) -> Any:
    return select(func.count()).select_from(rows).where(wanted).scalar_subquery()
