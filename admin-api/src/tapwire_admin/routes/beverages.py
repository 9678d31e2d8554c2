"""Beverages and prices."""

from decimal import Decimal
from uuid import UUID

from litestar import get, patch, post
from msgspec import UNSET, Struct, UnsetType

from tapwire_admin.access.auth import ENGINEER, OPERATOR
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromPath, FromQuery, JSONBody, PageQuery, RunOnce
from tapwire_admin.requests.field_types import Name, PercentByVolume, PriceMinor, TaxRateBp, Text
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_core.db.views import beverages as views
from tapwire_core.db.views.beverages import BeverageView
from tapwire_core.db.views.queries import Page
from tapwire_core.services import beverages


class NewBeverage(Struct, kw_only=True, forbid_unknown_fields=True):
    """A beverage to be added."""

    name: Name
    sell_price_per_liter_minor: PriceMinor
    style: Text | None = None
    abv: PercentByVolume | None = None
    tax_rate_bp: TaxRateBp | None = None


class BeverageChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a beverage."""

    name: Name | UnsetType = UNSET
    sell_price_per_liter_minor: PriceMinor | UnsetType = UNSET
    style: Text | UnsetType | None = UNSET
    abv: PercentByVolume | UnsetType | None = UNSET
    tax_rate_bp: TaxRateBp | UnsetType | None = UNSET
    archived: bool | UnsetType = UNSET


@get("/beverages", access=OPERATOR)
async def list_beverages(db: Db, page: PageQuery, archived: FromQuery[bool] = False) -> Page[BeverageView]:
    """Beverages by name: those that are sold, or with `archived` those that are no longer sold."""
    return await views.list_beverages(db, archived=archived, page=page)


@post("/beverages", access=ENGINEER, about=INSTALLATION)
async def create_beverage(db: Db, actor: CurrentActor, once: RunOnce, data: JSONBody[NewBeverage]) -> BeverageView:
    """Add a beverage with its price per litre."""
    beverage_id = await once(
        beverages.create_beverage,
        actor,
        name=data.name,
        sell_price_per_liter_minor=data.sell_price_per_liter_minor,
        style=data.style,
        abv=percent(data.abv),
        tax_rate_bp=data.tax_rate_bp,
    )
    return require_found(await views.get_beverage(db, beverage_id), "beverage", beverage_id)


@patch("/beverages/{beverage_id:uuid}", access=ENGINEER, refuses=(beverages.BeverageOnTap,))
async def change_beverage(db: Db, actor: CurrentActor, beverage_id: FromPath[UUID], data: JSONBody[BeverageChange]) -> BeverageView:
    """Change a beverage, or its price for new pours."""
    changes = changes_of(data)
    if "abv" in changes:
        changes["abv"] = percent(changes["abv"])
    if changes:
        await beverages.change_beverage(db, actor, beverage_id, **changes)
    return require_found(await views.get_beverage(db, beverage_id), "beverage", beverage_id)


def percent(given: float | None) -> Decimal | None:
    """A percentage as the database stores it."""
    return None if given is None else Decimal(str(given))


HANDLERS = (list_beverages, create_beverage, change_beverage)
