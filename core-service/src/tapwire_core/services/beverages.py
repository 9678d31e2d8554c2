"""Beverages and their prices. A new price applies to new pours; a running pour keeps its frozen price."""

from decimal import Decimal
from typing import Final, TypedDict, Unpack
from uuid import UUID, uuid4

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Beverage
from tapwire_core.db.writes import beverages as writes
from tapwire_core.db.writes.rows import change_row
from tapwire_core.db.writes.search import index_beverage
from tapwire_core.domain.actor import Actor
from tapwire_core.errors import Invalid, NotFound, Refused


class BeverageOnTap(Refused):
    """A keg of the beverage is connected to a tap."""

    code = "beverage_on_tap"


class BeverageChanges(TypedDict, total=False):
    """Changes of a beverage; the price is per litre, in minor units."""

    name: str
    style: str | None
    abv: Decimal | None
    tax_rate_bp: int | None
    sell_price_per_liter_minor: int
    archived: bool


async def add_beverage(
    store: Store,
    actor: Actor,
    *,
    name: str,
    sell_price_per_liter_minor: int,
    style: str | None = None,
    abv: Decimal | None = None,
    tax_rate_bp: int | None = None,
) -> UUID:
    """Add a beverage; its price is per litre, in minor units, at least 1. `abv` is in percent by volume.

    `tax_rate_bp`: the tax in the price, in basis points; None: not stated.
    """
    beverage_id = uuid4()
    columns = {"name": name, "style": style, "sell_price_per_liter_minor": sell_price_per_liter_minor, "tax_rate_bp": tax_rate_bp}
    await store.insert(Beverage, beverage_id=beverage_id, abv_hundredths=_hundredths_of(abv), **columns)
    await index_beverage(store, beverage_id)
    await writes.keep_name(store, beverage_id)
    await store.audit(AuditAction.BEVERAGE_CREATED, actor, beverage_id, details={**columns, "abv": abv})
    return beverage_id


create_beverage: Final = use_case(add_beverage)


@use_case
async def change_beverage(store: Store, actor: Actor, beverage_id: UUID, **changes: Unpack[BeverageChanges]) -> None:
    """Change a beverage; its taps show the new name and price at once. `archived`: no longer sold, then no keg of it may be
    connected to a tap.
    """
    if not await writes.lock_beverage(store, beverage_id):
        raise NotFound("beverage", beverage_id)
    taps = await writes.taps_with_beverage(store, beverage_id)
    if changes.get("archived") and taps:
        raise BeverageOnTap(f"A keg of it is connected to {', '.join(taps)}: take it off first.", taps=taps)
    columns: dict[str, object] = {name: value for name, value in changes.items() if name not in ("abv", "archived")}
    if "abv" in changes:
        columns["abv_hundredths"] = _hundredths_of(changes["abv"])
    await change_row(store, Beverage, {"beverage_id": beverage_id}, columns)
    await index_beverage(store, beverage_id)
    await writes.keep_name(store, beverage_id)
    if "archived" in changes:
        await writes.set_archived(store, beverage_id, archived=changes["archived"])
    for tap in taps:
        await store.send_config(tap)
    await store.audit(AuditAction.BEVERAGE_CHANGED, actor, beverage_id, details=changes)


def _hundredths_of(abv: Decimal | None) -> int | None:
    """A strength in hundredths of a per cent; raises `Invalid` for more than two decimals, which the formulas would not count."""
    if abv is None:
        return None
    hundredths = abv * 100
    if hundredths != hundredths.to_integral_value():
        raise Invalid("abv has more than two decimals: write it in per cent, such as 4.95.", field="abv")
    return int(hundredths)
