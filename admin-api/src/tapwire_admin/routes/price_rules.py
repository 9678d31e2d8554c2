"""Prices by time."""

from datetime import date, time
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import delete, get, patch, post
from msgspec import UNSET, Meta, Struct, UnsetType

from tapwire_admin.access.auth import ENGINEER, OPERATOR
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromPath, JSONBody, PageQuery, RunOnce, VenueQuery
from tapwire_admin.requests.field_types import ClockTime, Name, PercentOff, PriceMinor, Slug, Weekday
from tapwire_admin.requests.parameters import changes_of, require_found, require_sane_year, require_venue_id
from tapwire_core.db.views import price_rules as views
from tapwire_core.db.views.price_rules import PriceRuleView
from tapwire_core.db.views.queries import Page
from tapwire_core.errors import NotFound
from tapwire_core.services import price_rules
from tapwire_core.services.request_limits import MAX_BEVERAGES_OF_RULE
from tapwire_core.services.venues import VenueRequired

BeverageIds = Annotated[list[UUID], Meta(min_length=1, max_length=MAX_BEVERAGES_OF_RULE, description="null: every beverage")]
Weekdays = Annotated[list[Weekday], Meta(min_length=1, max_length=7, description="the days on which it begins; 1 is Monday")]
FirstDay = Annotated[date, Meta(description="the first day on which it begins")]
LastDay = Annotated[date, Meta(description="the last day on which it begins")]


class NewPriceRule(Struct, kw_only=True, forbid_unknown_fields=True):
    """A price rule to be added; exactly one of `sell_price_per_liter_minor` and `percent_off`."""

    name: Name
    weekdays: Weekdays
    venue_id: Slug | None = None
    beverage_ids: BeverageIds | None = None
    from_: ClockTime = msgspec.field(name="from")
    to: ClockTime
    valid_from: FirstDay | None = None
    valid_to: LastDay | None = None
    sell_price_per_liter_minor: PriceMinor | None = None
    percent_off: PercentOff | None = None


class PriceRuleChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a price rule; one kind of price takes the place of the other."""

    name: Name | UnsetType = UNSET
    beverage_ids: BeverageIds | UnsetType | None = UNSET
    weekdays: Weekdays | UnsetType = UNSET
    from_: ClockTime | UnsetType = msgspec.field(default=UNSET, name="from")
    to: ClockTime | UnsetType = UNSET
    valid_from: FirstDay | UnsetType | None = UNSET
    valid_to: LastDay | UnsetType | None = UNSET
    sell_price_per_liter_minor: PriceMinor | UnsetType | None = UNSET
    percent_off: PercentOff | UnsetType | None = UNSET


@get("/price-rules", access=OPERATOR)
async def list_price_rules(db: Db, page: PageQuery, venue_id: VenueQuery = None) -> Page[PriceRuleView]:
    """Price rules of one venue or of all, the oldest first; without deleted ones."""
    return await views.list_price_rules(db, venue_id, page)


@post("/price-rules", access=ENGINEER, refuses=(price_rules.PriceRuleOverlap, NotFound, VenueRequired))
async def create_price_rule(db: Db, actor: CurrentActor, once: RunOnce, data: JSONBody[NewPriceRule]) -> PriceRuleView:
    """Add a price rule. Its times are the venue's wall clock; `to` at or before `from` is on the next day, equal is a whole day."""
    fields = fields_of_rule(msgspec.structs.asdict(data))
    venue_id = await require_venue_id(db, fields.pop("venue_id"))
    price_rule_id = await once(price_rules.create_price_rule, actor, venue_id, **fields)
    return require_found(await views.get_price_rule(db, price_rule_id), "price_rule", price_rule_id)


@patch("/price-rules/{price_rule_id:uuid}", access=ENGINEER, refuses=(price_rules.PriceRuleOverlap,))
async def change_price_rule(
    db: Db, actor: CurrentActor, price_rule_id: FromPath[UUID], data: JSONBody[PriceRuleChange]
) -> PriceRuleView:
    """Change a price rule; running pours keep the price of their grant."""
    await price_rules.change_price_rule(db, actor, price_rule_id, **fields_of_rule(changes_of(data)))
    return require_found(await views.get_price_rule(db, price_rule_id), "price_rule", price_rule_id)


@delete("/price-rules/{price_rule_id:uuid}", access=ENGINEER)
async def delete_price_rule(db: Db, actor: CurrentActor, price_rule_id: FromPath[UUID]) -> None:
    """End a price rule for good; the pours that it priced keep naming it."""
    await price_rules.delete_price_rule(db, actor, price_rule_id)


def fields_of_rule(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a body as the use case takes them; raises `Invalid` for a day of another century."""
    for name in ("valid_from", "valid_to"):
        if (day := given.get(name)) is not None:
            require_sane_year(name, day)
    clocks = {"from_": "from_time", "to": "to_time"}
    return {clocks.get(name, name): time.fromisoformat(value) if name in clocks else value for name, value in given.items()}


HANDLERS = (list_price_rules, create_price_rule, change_price_rule, delete_price_rule)
