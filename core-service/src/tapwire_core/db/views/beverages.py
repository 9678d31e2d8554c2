"""Beverages and prices."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, DateTime, Float, Select, Subquery, and_, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, BeverageName
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_one, read_page, table
from tapwire_core.db.views.search_ids import beverages_found, has_whole_words
from tapwire_core.domain.closed_sets import SearchNoun
from tapwire_core.domain.search import query_of

beverages: Final = table(Beverage)
names: Final = table(BeverageName)
_BEFORE: Final = cast(literal("-infinity"), DateTime(timezone=True))
_AFTER: Final = cast(literal("infinity"), DateTime(timezone=True))


class BeverageView(Struct, frozen=True):
    """A beverage and its price."""

    beverage_id: UUID
    name: str
    style: str | None
    abv: float | None
    sell_price_per_liter_minor: int
    tax_rate_bp: int | None
    currency: str
    archived_at: datetime | None
    created_at: datetime


async def list_beverages(
    db: Database, *, archived: bool = False, search: str | None = None, page: PageRequest = FIRST_PAGE
) -> Page[BeverageView]:
    """Beverages by name: those on sale, or the archived ones; with `search` those that it finds, whole words first."""
    of_interest = beverages.c.archived_at.is_not(None) if archived else beverages.c.archived_at.is_(None)
    order: list[ColumnElement[Any]] = [beverages.c.name, beverages.c.beverage_id]
    statement = _beverages(db).where(of_interest)
    if search is not None:
        query = query_of(search)
        statement = statement.where(beverages.c.beverage_id.in_(beverages_found(query)))
        order.insert(0, 1 - has_whole_words(SearchNoun.BEVERAGE, beverages.c.beverage_id, query))
    return await read_page(db, statement, BeverageView, order, page)


async def get_beverage(db: Database, beverage_id: UUID) -> BeverageView | None:
    """One beverage."""
    return await read_one(db, _beverages(db).where(beverages.c.beverage_id == beverage_id), BeverageView)


def names_over_time() -> Subquery:
    """Names of beverages with their periods; the first one counts for all time before too."""
    is_first = func.row_number().over(partition_by=names.c.beverage_id, order_by=names.c.since) == 1
    return select(
        names.c.beverage_id,
        names.c.name,
        case((is_first, _BEFORE), else_=names.c.since).label("since"),
        func.lead(names.c.since, 1, _AFTER).over(partition_by=names.c.beverage_id, order_by=names.c.since).label("until"),
    ).subquery("beverage_names_over_time")


def is_name_at(periods: Subquery, beverage_id: ColumnElement[Any], at: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition that a row of `names_over_time` is the beverage's name at a moment."""
    return and_(periods.c.beverage_id == beverage_id, at >= periods.c.since, at < periods.c.until)


def name_times() -> Subquery:
    """One row a beverage: the times of its names, in order. `name_number` counts in them."""
    return (
        select(names.c.beverage_id, func.array_agg(aggregate_order_by(names.c.since, names.c.since)).label("times"))
        .group_by(names.c.beverage_id)
        .subquery("beverage_name_times")
    )


def name_number(times: ColumnElement[Any], at: ColumnElement[Any]) -> ColumnElement[int]:
    """The number of a beverage's name at a moment, from 1: for sums of many rows it costs less than a join with the name."""
    return func.greatest(func.width_bucket(at, times), 1)


def numbered_names() -> Subquery:
    """Names of beverages with their numbers."""
    number = func.row_number().over(partition_by=names.c.beverage_id, order_by=names.c.since)
    return select(names.c.beverage_id, names.c.name, number.label("number")).subquery("numbered_beverage_names")


def _beverages(db: Database) -> Select[Any]:
    columns = [column for column in beverages.c if column.name != "abv"]
    return select(*columns, cast(beverages.c.abv, Float).label("abv"), literal(db.policy.currency).label("currency"))
