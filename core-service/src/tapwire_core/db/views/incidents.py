"""Incidents, for operators."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Integer, Select, case, cast, func, or_, select

from tapwire_contracts.reasons import IncidentKind, IncidentStatus, Resolution
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Incident, MoneyMovement
from tapwire_core.db.views.queries import (
    FIRST_PAGE,
    Page,
    PageRequest,
    age_ms,
    read_all,
    read_one,
    read_page,
    table,
)
from tapwire_core.domain.closed_sets import Account

incidents: Final = table(Incident)
movements: Final = table(MoneyMovement)


class IncidentView(Struct, frozen=True):
    """A problem that a person must resolve; `occurrences` counts how often its cause came up."""

    incident_id: UUID
    kind: IncidentKind
    status: IncidentStatus
    raised_at: datetime
    age_ms: int
    last_seen_at: datetime
    occurrences: int
    owner: str | None
    claimed_at: datetime | None
    venue_id: str | None
    tap: str | None
    pour_id: UUID | None
    details: dict[str, Any]
    resolution: Resolution | None
    resolved_at: datetime | None
    resolved_by: str | None
    comment: str | None


class PourSales(Struct, frozen=True):
    """A pour's sales so far, by all payers."""

    pour_id: UUID
    sales_minor: int


async def list_incidents(
    db: Database,
    *,
    status: IncidentStatus | None = None,
    venue_id: str | None = None,
    kind: IncidentKind | None = None,
    page: PageRequest = FIRST_PAGE,
) -> Page[IncidentView]:
    """Incidents, the latest first."""
    statement = _incidents()
    for column, value in ((incidents.c.status, status), (incidents.c.venue_id, venue_id), (incidents.c.kind, kind)):
        if value is not None:
            statement = statement.where(column == str(value))
    order = [incidents.c.raised_at, incidents.c.incident_id]
    return await read_page(db, statement, IncidentView, order, page, newest_first=True)


async def list_unresolved(
    db: Database,
    venue_id: str,
    ranks: Mapping[IncidentKind, int],
    page: PageRequest = FIRST_PAGE,
    tap_path: str | None = None,
) -> Page[IncidentView]:
    """Unresolved incidents of a venue, and those without a known venue: by the rank of their kind, then the oldest first.

    `tap_path`: of this tap alone.
    """
    statement = _incidents().where(incidents.c.status != IncidentStatus.RESOLVED.value, _is_here(venue_id))
    if tap_path is not None:
        statement = statement.where(incidents.c.tap_path == tap_path)
    by_kind = {kind.value: place for kind, place in ranks.items()}
    rank = cast(case(by_kind, value=incidents.c.kind, else_=0), Integer)
    return await read_page(db, statement, IncidentView, [rank, incidents.c.raised_at, incidents.c.incident_id], page)


async def get_incident(db: Database, incident_id: UUID) -> IncidentView | None:
    """One incident."""
    return await read_one(db, _incidents().where(incidents.c.incident_id == incident_id), IncidentView)


async def count_unresolved(db: Database, venue_id: str) -> int:
    """Number of the incidents of `list_unresolved`."""
    statement = select(func.count()).where(incidents.c.status != IncidentStatus.RESOLVED.value, _is_here(venue_id))
    async with db.read() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def count_unresolved_of(db: Database, kind: IncidentKind, tap_path: str) -> int:
    """Number of unresolved incidents of a kind and tap."""
    statement = select(func.count()).where(
        incidents.c.kind == kind.value, incidents.c.tap_path == tap_path, incidents.c.status != IncidentStatus.RESOLVED.value
    )
    async with db.read() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def incidents_by_id(db: Database, incident_ids: Collection[UUID]) -> list[IncidentView]:
    """These incidents, in any order."""
    return await read_all(db, _incidents().where(incidents.c.incident_id.in_(incident_ids)), IncidentView) if incident_ids else []


async def sales_of_pours(db: Database, pour_ids: Collection[UUID]) -> list[PourSales]:
    """Read the sales of these pours, in any order; pours without sales are left out."""
    sales_minor = func.sum(movements.c.amount_minor).cast(BigInteger).label("sales_minor")
    statement = select(movements.c.pour_id, sales_minor).group_by(movements.c.pour_id)
    statement = statement.where(movements.c.pour_id.in_(pour_ids), movements.c.credit_account == Account.SALES.value)
    return await read_all(db, statement, PourSales) if pour_ids else []


def _is_here(venue_id: str) -> ColumnElement[bool]:
    """The condition that an incident is at the venue, or at no known one."""
    return or_(incidents.c.venue_id == venue_id, incidents.c.venue_id.is_(None))


def _incidents() -> Select[Any]:
    return select(*incidents.c, incidents.c.tap_path.label("tap"), age_ms(incidents.c.raised_at).label("age_ms"))
