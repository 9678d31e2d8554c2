"""Prices as screens and lists show them: the price now, the list price, and the rule with its end."""

import functools
from datetime import UTC, datetime, timezone, tzinfo
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct

from tapwire_contracts.messages import PriceRuleShown
from tapwire_core.domain.price_rules import PriceRulesNow, off_at, price_now


class RulesAtMoment(PriceRulesNow, frozen=True, kw_only=True):
    """A row of the view `price_rules_now`."""

    moment: datetime
    time_zone: str

    @property
    def zone(self) -> tzinfo:
        """The venue's time zone. One that only the database knows keeps its present offset."""
        offset = self.wall_time.replace(tzinfo=UTC) - self.moment
        return _zone(self.time_zone) or timezone(offset)


class ShownPrice(Struct, frozen=True):
    """The price per litre now, in minor units, beside the list price."""

    sell_price_per_liter_minor: int
    list_price_per_liter_minor: int
    price_rule: PriceRuleShown | None = None


_facts: Final = msgspec.json.Decoder(RulesAtMoment)


def shown_price(list_price_minor: int, beverage_id: UUID, facts: str | None) -> ShownPrice:
    """A beverage's price now; `facts`: its venue's row of `price_rules_now`, None without rules. The end has the venue's offset."""
    if facts is None:
        return ShownPrice(list_price_minor, list_price_minor)
    now = _facts.decode(facts)
    price = price_now(list_price_minor, beverage_id, now)
    if price.rule is None:
        return ShownPrice(price.minor, price.list_minor)
    until = off_at(price.rule, now.moment, now.zone)
    shown = PriceRuleShown(
        price_rule_id=price.rule.price_rule_id, name=price.rule.name, until=until.astimezone(now.zone) if until else None
    )
    return ShownPrice(price.minor, price.list_minor, shown)


def with_price(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a list, with its price now: of its list price, `beverage_id` and `price_facts`."""
    facts, list_price_minor = row.pop("price_facts"), row["list_price_per_liter_minor"]
    if list_price_minor is None:
        return row | {"sell_price_per_liter_minor": None, "price_rule": None}
    shown = shown_price(list_price_minor, row["beverage_id"], facts)
    rule = shown.price_rule
    if rule is not None and rule.until is not None:
        rule = msgspec.structs.replace(rule, until=rule.until.astimezone(UTC))
    return row | {"sell_price_per_liter_minor": shown.sell_price_per_liter_minor, "price_rule": rule}


@functools.cache
def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
