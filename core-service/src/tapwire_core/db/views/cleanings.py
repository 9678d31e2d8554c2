"""Cleanings of taps, for operators and inspectors."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Select, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import TapCleaning
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_all, read_one, read_page, table
from tapwire_core.domain.closed_sets import CleaningKind

cleanings: Final = table(TapCleaning)


class CleaningView(Struct, frozen=True):
    """A cleaning of a tap's line. One that the tap measured has `event_id` and `volume_ml` of its flow, and no kind and no name."""

    cleaning_id: int
    tap: str
    kind: CleaningKind | None
    note: str | None
    volume_ml: int | None
    event_id: UUID | None
    cleaned_by: str | None
    cleaned_at: datetime


async def list_cleanings(db: Database, tap: str, page: PageRequest = FIRST_PAGE) -> Page[CleaningView]:
    """A tap's cleanings, the latest first."""
    statement = _cleanings().where(cleanings.c.tap_path == tap)
    return await read_page(db, statement, CleaningView, [cleanings.c.cleaned_at, cleanings.c.cleaning_id], page, newest_first=True)


async def read_log(db: Database, venue_id: str, since: datetime, until: datetime) -> list[CleaningView]:
    """The cleanings of a venue's taps in a period, by tap, the oldest first."""
    within = (cleanings.c.venue_id == venue_id, cleanings.c.cleaned_at >= since, cleanings.c.cleaned_at < until)
    order = (cleanings.c.tap_path, cleanings.c.cleaned_at, cleanings.c.cleaning_id)
    return await read_all(db, _cleanings().where(*within).order_by(*order), CleaningView)


async def get_cleaning(db: Database, cleaning_id: int) -> CleaningView | None:
    """One cleaning."""
    return await read_one(db, _cleanings().where(cleanings.c.cleaning_id == cleaning_id), CleaningView)


def _cleanings() -> Select[Any]:
    names = ("cleaning_id", "kind", "note", "volume_ml", "event_id", "cleaned_by", "cleaned_at")
    return select(cleanings.c.tap_path.label("tap"), *(cleanings.c[name] for name in names))
