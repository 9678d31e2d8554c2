"""The tap list of a venue, for everybody: what flows there, and at which price. It has nothing of any person."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import Select, Text, and_, cast, column, func, or_, select
from sqlalchemy import table as sql_table
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from tapwire_core.db.engine import Database
from tapwire_core.db.shown_prices import RulesAtMoment
from tapwire_core.db.tables import Beverage, Keg, Tap, Venue
from tapwire_core.db.views.queries import table
from tapwire_core.db.views.taps import keg_outlook
from tapwire_core.domain.closed_sets import ServingMeasure, VolumeUnit
from tapwire_core.domain.money import charge
from tapwire_core.domain.price_rules import PriceRule, next_change, off_at, price_now
from tapwire_core.domain.tap_order import by_number

venues: Final = table(Venue)
taps: Final = table(Tap)
kegs: Final = table(Keg)
beverages: Final = table(Beverage)
_now: Final = sql_table("price_rules_now", column("venue_id"), column("facts", JSONB))


class ShownRule(Struct, frozen=True):
    """The rule that makes a price, and the next moment at which it is off; null for one that never is."""

    name: str
    until: datetime | None


class ListedTap(Struct, frozen=True, kw_only=True):
    """A tap that guests can pour from. `glass_price_minor`: the price now of a glass of the venue's size.

    `almost_gone`: little is left in its keg.
    """

    tap_id: str
    name: str
    beverage: str
    style: str | None
    abv: float | None
    sell_price_per_liter_minor: int
    list_price_per_liter_minor: int
    glass_price_minor: int
    price_rule: ShownRule | None
    almost_gone: bool


class TapList(Struct, frozen=True, kw_only=True):
    """What a venue has on tap now: its taps in service with a keg that is not empty, by number."""

    venue_id: str
    name: str
    time_zone: str
    currency: str
    glass_ml: int
    volume_unit: VolumeUnit
    items: tuple[ListedTap, ...]


class TapListNow(Struct, frozen=True):
    """A tap list, and the time until a price rule begins or ends, if that is soon."""

    list: TapList
    changes_in: timedelta | None


class _Tap(Struct, frozen=True):
    tap_id: str
    name: str
    beverage_id: UUID
    beverage: str
    style: str | None
    abv: float | None
    list_price_per_liter_minor: int
    almost_gone: bool


_taps: Final = msgspec.json.Decoder(tuple[_Tap, ...])
_rules: Final = msgspec.json.Decoder(RulesAtMoment)


async def find_public_venues(db: Database) -> set[str]:
    """The venues whose tap list everybody may read."""
    async with db.read() as connection:
        return set((await connection.execute(select(venues.c.venue_id).where(venues.c.public_menu))).scalars())


async def read_tap_list(db: Database, venue_id: str, soon: timedelta) -> TapListNow | None:
    """A venue's tap list, by one query; None for a venue that shows none. Changes of price within `soon` are told."""
    async with db.read() as connection:
        row = (await connection.execute(_list_of(venue_id))).mappings().one_or_none()
    if row is None:
        return None
    known = dict(row)
    on_tap, rules = _taps.decode(known.pop("on_tap")), known.pop("rules")
    now = _rules.decode(rules) if rules is not None else None
    known["volume_unit"] = VolumeUnit(known["volume_unit"])
    listed = TapList(**known, currency=db.policy.currency, items=_listed(on_tap, now, known["glass_ml"]))
    change = next_change(now, now.moment, now.zone, soon) if now is not None else None
    return TapListNow(listed, change - now.moment if now is not None and change is not None else None)


def _listed(on_tap: Sequence[_Tap], now: RulesAtMoment | None, glass_ml: int) -> tuple[ListedTap, ...]:
    shown: dict[UUID, ShownRule] = {}

    def rule_shown(rule: PriceRule) -> ShownRule:
        if now is not None and rule.price_rule_id not in shown:
            until = off_at(rule, now.moment, now.zone)
            shown[rule.price_rule_id] = ShownRule(rule.name, until.astimezone(UTC) if until else None)
        return shown[rule.price_rule_id]

    found = {tap.tap_id: tap for tap in on_tap}
    items = []
    for tap in (found[tap_id] for tap_id in by_number(found)):
        price = price_now(tap.list_price_per_liter_minor, tap.beverage_id, now)
        items.append(
            ListedTap(
                tap_id=tap.tap_id,
                name=tap.name,
                beverage=tap.beverage,
                style=tap.style,
                abv=tap.abv,
                sell_price_per_liter_minor=price.minor,
                list_price_per_liter_minor=price.list_minor,
                glass_price_minor=charge(glass_ml, price.minor),
                price_rule=rule_shown(price.rule) if price.rule else None,
                almost_gone=tap.almost_gone,
            )
        )
    return tuple(items)


def _list_of(venue_id: str) -> Select[Any]:
    one = {
        "tap_id": taps.c.tap_id,
        "name": taps.c.name,
        "beverage_id": beverages.c.beverage_id,
        "beverage": beverages.c.name,
        "style": beverages.c.style,
        "abv": beverages.c.abv,
        "list_price_per_liter_minor": beverages.c.sell_price_per_liter_minor,
        "almost_gone": keg_outlook.c.is_low,
    }
    found = func.jsonb_build_object(*(part for name, value in one.items() for part in (name, value)))
    on_tap = (
        select(cast(func.coalesce(func.jsonb_agg(aggregate_order_by(found, taps.c.tap_id)), func.jsonb_build_array()), Text))
        .select_from(taps)
        .join(kegs, and_(kegs.c.keg_id == taps.c.keg_id, kegs.c.book_volume_ml > 0))
        .join(beverages, beverages.c.beverage_id == kegs.c.beverage_id)
        .join(keg_outlook, keg_outlook.c.keg_id == kegs.c.keg_id)
        .where(
            taps.c.venue_id == venues.c.venue_id,
            ~venues.c.emergency_stop,
            taps.c.status == "active",
            taps.c.identity_conflict_at.is_(None),
            # such a tap is `tap_not_configured`
            or_(venues.c.serving_limit_measure.is_distinct_from(ServingMeasure.ETHANOL.value), beverages.c.abv.is_not(None)),
        )
        .correlate(venues)
        .scalar_subquery()
    )
    rules = select(cast(_now.c.facts, Text)).where(_now.c.venue_id == venues.c.venue_id).correlate(venues).scalar_subquery()
    columns = [venues.c[name] for name in ("venue_id", "name", "time_zone", "glass_ml")]
    unit = venues.c.volume_unit
    return select(*columns, unit, on_tap.label("on_tap"), rules.label("rules")).where(
        venues.c.venue_id == venue_id, venues.c.public_menu
    )
