"""Shifts, for operators."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Shift
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_all, read_one, read_page, table
from tapwire_core.db.views.shift_reports import ShiftReport
from tapwire_core.domain.closed_sets import ShiftStatus

shifts: Final = table(Shift)


class ShiftView(Struct, frozen=True):
    """A shift, with the time and author of its Z report."""

    shift_id: UUID
    venue_id: str
    status: ShiftStatus
    opened_at: datetime
    opened_by: str
    closed_at: datetime | None
    closed_by: str | None
    z_report_at: datetime | None
    z_report_by: str | None
    count_cash: bool


async def get_shift(db: Database, shift_id: UUID) -> ShiftView | None:
    """One shift."""
    return await read_one(db, select(*shifts.c).where(shifts.c.shift_id == shift_id), ShiftView)


async def shifts_by_id(db: Database, shift_ids: Collection[UUID]) -> list[ShiftView]:
    """These shifts, in any order."""
    return await read_all(db, select(*shifts.c).where(shifts.c.shift_id.in_(shift_ids)), ShiftView) if shift_ids else []


async def get_open_shift(db: Database, venue_id: str) -> ShiftView | None:
    """The venue's open shift."""
    is_open = shifts.c.status == ShiftStatus.OPEN.value
    return await read_one(db, select(*shifts.c).where(shifts.c.venue_id == venue_id, is_open), ShiftView)


async def list_shifts(db: Database, venue_id: str, page: PageRequest = FIRST_PAGE) -> Page[ShiftView]:
    """A venue's shifts, the latest first."""
    statement = select(*shifts.c).where(shifts.c.venue_id == venue_id)
    return await read_page(db, statement, ShiftView, [shifts.c.opened_at, shifts.c.shift_id], page, newest_first=True)


async def get_z_report(db: Database, shift_id: UUID) -> ShiftReport | None:
    """A shift's stored Z report."""
    statement = select(shifts.c.z_report).where(shifts.c.shift_id == shift_id, shifts.c.z_report.is_not(None))
    async with db.read() as connection:
        kept = (await connection.execute(statement)).scalar_one_or_none()
    return None if kept is None else msgspec.convert(kept, ShiftReport)
