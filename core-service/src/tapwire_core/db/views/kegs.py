"""Kegs in stock and on taps."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, Select, case, cast, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, Keg, StockMovement, Tap
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_all, read_one, read_page, table
from tapwire_core.db.views.search_ids import beverages_found, has_whole_words
from tapwire_core.domain.closed_sets import KegFinish, KegStatus, SearchNoun
from tapwire_core.domain.search import query_of

taps: Final = table(Tap)
beverages: Final = table(Beverage)
kegs: Final = table(Keg)
stock: Final = table(StockMovement)


class KegView(Struct, frozen=True):
    """A keg, its book volume, and the tap it is connected to.

    `tapped_at`: when it was first on a tap. `finish`: what became of it when it came off; `finished_at`: when that was for good.
    """

    keg_id: UUID
    venue_id: str
    beverage_id: UUID
    beverage_name: str
    beverage_style: str | None
    status: KegStatus
    initial_volume_ml: int
    book_volume_ml: int
    tap: str | None
    created_at: datetime
    supplier: str | None = None
    batch: str | None = None
    best_before: date | None = None
    cost_minor: int | None = None
    keg_deposit_minor: int | None = None
    tapped_at: datetime | None = None
    finished_at: datetime | None = None
    finish: KegFinish | None = None


async def list_kegs(
    db: Database, venue_id: str | None = None, status: KegStatus | None = None, page: PageRequest = FIRST_PAGE
) -> Page[KegView]:
    """Kegs, the oldest first."""
    statement = _kegs()
    if venue_id is not None:
        statement = statement.where(kegs.c.venue_id == venue_id)
    if status is not None:
        statement = statement.where(kegs.c.status == status.value)
    return await read_page(db, statement, KegView, [kegs.c.created_at, kegs.c.keg_id], page)


async def list_free_kegs(
    db: Database, venue_id: str, *, first: UUID | None = None, search: str | None = None, page: PageRequest = FIRST_PAGE
) -> Page[KegView]:
    """A venue's kegs that can be connected, the oldest first; those of the beverage `first` before all others.

    With `search` those whose beverage it finds, whole words first of all.
    """
    statement = _free_kegs().where(kegs.c.venue_id == venue_id)
    rank = cast(case((kegs.c.beverage_id == first, 0), else_=1), Integer)
    order: list[ColumnElement[Any]] = [rank, kegs.c.created_at, kegs.c.keg_id]
    if search is not None:
        query = query_of(search)
        statement = statement.where(kegs.c.beverage_id.in_(beverages_found(query)))
        order.insert(0, 1 - has_whole_words(SearchNoun.BEVERAGE, kegs.c.beverage_id, query))
    return await read_page(db, statement, KegView, order, page)


async def get_keg(db: Database, keg_id: UUID) -> KegView | None:
    """One keg."""
    return await read_one(db, _kegs().where(kegs.c.keg_id == keg_id), KegView)


async def kegs_by_id(db: Database, keg_ids: Sequence[UUID]) -> list[KegView]:
    """These kegs, in the order of their ids."""
    return await read_all(db, _kegs().where(kegs.c.keg_id.in_(keg_ids)).order_by(kegs.c.keg_id), KegView)


async def suggest_keg(db: Database, beverage_id: UUID, venue_id: str | None = None) -> KegView | None:
    """The keg to connect next, first in first out: the oldest in stock that is on no tap and is not empty."""
    statement = _free_kegs().where(kegs.c.beverage_id == beverage_id)
    if venue_id is not None:
        statement = statement.where(kegs.c.venue_id == venue_id)
    return await read_one(db, statement.order_by(kegs.c.created_at, kegs.c.keg_id).limit(1), KegView)


def _free_kegs() -> Select[Any]:
    return _kegs().where(
        kegs.c.status == KegStatus.IN_STOCK.value,
        kegs.c.book_volume_ml > 0,
        taps.c.tap_path.is_(None),
    )


def _kegs() -> Select[Any]:
    return (
        select(
            *kegs.c,
            beverages.c.name.label("beverage_name"),
            beverages.c.style.label("beverage_style"),
            taps.c.tap_path.label("tap"),
        )
        .join(beverages, beverages.c.beverage_id == kegs.c.beverage_id)
        .outerjoin(taps, taps.c.keg_id == kegs.c.keg_id)
    )
