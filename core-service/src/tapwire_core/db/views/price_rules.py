"""Price rules, for operators."""

from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import Select, func, literal, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import PriceRule, Venue
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_one, read_page, table

ClockTime = Annotated[str, msgspec.Meta(examples=["17:00"])]
rules: Final = table(PriceRule)
venues: Final = table(Venue)


class PriceRuleView(Struct, frozen=True):
    """A price at certain times of a venue's week, by its wall clock; exactly one of the two prices is set.

    `beverage_ids`: null for every beverage. `weekdays`: the days on which it begins, 1 is Monday. `to` at or before `from` is on
    the next day. `valid_from`, `valid_to`: the first and the last day on which it begins.
    """

    price_rule_id: UUID
    venue_id: str
    name: str
    beverage_ids: tuple[UUID, ...] | None
    weekdays: tuple[int, ...]
    from_: ClockTime = msgspec.field(name="from")
    to: ClockTime
    valid_from: date | None
    valid_to: date | None
    sell_price_per_liter_minor: int | None
    percent_off: int | None
    currency: str
    created_at: datetime


async def list_price_rules(db: Database, venue_id: str | None = None, page: PageRequest = FIRST_PAGE) -> Page[PriceRuleView]:
    """The rules of one venue or of all that are not deleted, the oldest first."""
    statement = _rules(db)
    if venue_id is not None:
        statement = statement.where(rules.c.venue_id == venue_id)
    return await read_page(db, statement, PriceRuleView, [rules.c.created_at, rules.c.price_rule_id], page)


async def get_price_rule(db: Database, price_rule_id: UUID) -> PriceRuleView | None:
    """One rule that is not deleted."""
    return await read_one(db, _rules(db).where(rules.c.price_rule_id == price_rule_id), PriceRuleView)


async def read_wall_clock(db: Database, venue_id: str) -> datetime | None:
    """The wall clock of a venue; None when there is no such venue."""
    async with db.read() as connection:
        now = select(func.timezone(venues.c.time_zone, func.now())).where(venues.c.venue_id == venue_id)
        return (await connection.execute(now)).scalar_one_or_none()


def _rules(db: Database) -> Select[Any]:
    columns = [column for column in rules.c if column.name not in ("from_time", "to_time", "deleted_at")]
    return select(
        *columns,
        func.to_char(rules.c.from_time, "HH24:MI").label("from"),
        func.to_char(rules.c.to_time, "HH24:MI").label("to"),
        literal(db.policy.currency).label("currency"),
    ).where(rules.c.deleted_at.is_(None))
