"""Prices by time: a venue's price rules. A pour keeps the price of its grant, whatever becomes of the rule."""

from collections.abc import Mapping
from datetime import date, time
from typing import Final, TypedDict, Unpack
from uuid import UUID, uuid4

from msgspec.structs import asdict, replace

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import PriceRule as PriceRuleRow
from tapwire_core.db.writes import price_rules as writes
from tapwire_core.db.writes.rows import change_row
from tapwire_core.db.writes.venues import lock_venue
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.price_rules import PriceRule, overlap
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.shown import Shown, require_as_shown

PRICES: Final = ("sell_price_per_liter_minor", "percent_off")


class PriceRuleOverlap(Refused):
    """Another rule of the venue could be on at the same time for the same beverage."""

    code = "price_rule_overlap"


class PriceRuleFields(TypedDict, total=False):
    """The fields of a rule; `beverage_ids` null is every beverage, exactly one of the two prices is set."""

    name: str
    beverage_ids: list[UUID] | None
    weekdays: list[int]
    from_time: time
    to_time: time
    valid_from: date | None
    valid_to: date | None
    sell_price_per_liter_minor: int | None
    percent_off: int | None


@use_case
async def create_price_rule(store: Store, actor: Actor, venue_id: str, **fields: Unpack[PriceRuleFields]) -> UUID:
    """Add a rule to a venue; raises `PriceRuleOverlap`. Taps show it within seconds of its first moment."""
    rule = _rule_of(uuid4(), fields)
    if not await lock_venue(store, venue_id):
        raise NotFound("venue", venue_id)
    await _require_fitting(store, venue_id, rule)
    await store.insert(PriceRuleRow, venue_id=venue_id, **asdict(rule))
    details = {"venue_id": venue_id, **_audited(asdict(rule))}
    await store.audit(AuditAction.PRICE_RULE_CREATED, actor, rule.price_rule_id, venue_id, details=details)
    return rule.price_rule_id


@use_case
async def change_price_rule(
    store: Store, actor: Actor, price_rule_id: UUID, *, shown: Shown | None = None, **changes: Unpack[PriceRuleFields]
) -> None:
    """Change a rule; raises `PriceRuleOverlap`. One kind of price takes the place of the other. Running pours keep their price."""
    venue_id, rule = await _lock_rule(store, price_rule_id)
    await require_as_shown(store, shown)
    columns: dict[str, object] = dict(changes)
    if "beverage_ids" in changes:
        columns["beverage_ids"] = _in_order(changes["beverage_ids"])
    if "weekdays" in changes:
        columns["weekdays"] = tuple(sorted(set(changes["weekdays"])))
    for given, other in (PRICES, PRICES[::-1]):
        if columns.get(given) is not None and other not in columns:
            columns[other] = None
    changed = replace(rule, **columns)
    await _require_fitting(store, venue_id, changed)
    await change_row(store, PriceRuleRow, {"price_rule_id": price_rule_id}, columns)
    details = {"venue_id": venue_id, "name": changed.name, **_audited(columns)}
    await store.audit(AuditAction.PRICE_RULE_CHANGED, actor, price_rule_id, venue_id, details=details)


@use_case
async def delete_price_rule(store: Store, actor: Actor, price_rule_id: UUID, *, shown: Shown | None = None) -> None:
    """End a rule for good; its row stays for the pours that it priced."""
    venue_id, rule = await _lock_rule(store, price_rule_id)
    await require_as_shown(store, shown)
    await writes.set_deleted(store, price_rule_id)
    details = {"venue_id": venue_id, "name": rule.name}
    await store.audit(AuditAction.PRICE_RULE_DELETED, actor, price_rule_id, venue_id, details=details)


@use_case
async def overlapping_rule(
    store: Store, venue_id: str, price_rule_id: UUID | None = None, **fields: Unpack[PriceRuleFields]
) -> PriceRule | None:
    """The rule of the venue that a new or changed rule would overlap, while a form is being filled in; it locks nothing."""
    proposed = _rule_of(price_rule_id or uuid4(), fields)
    return _first_overlap(proposed, await writes.rules_of_venue(store, venue_id))


@use_case
async def publish_new_prices(store: Store) -> int:
    """Publish the configs of the taps whose price changed with time, or by a change of rules; returns their number.

    A worker asks for it each second, so that screens follow whatever began, ended or changed while no worker ran.
    """
    taps = await writes.note_new_prices(store)
    for tap in taps:
        await store.send_config(tap)
    return len(taps)


def _rule_of(price_rule_id: UUID, fields: PriceRuleFields) -> PriceRule:
    return PriceRule(
        price_rule_id=price_rule_id,
        name=fields["name"],
        beverage_ids=_in_order(fields.get("beverage_ids")),
        weekdays=tuple(sorted(set(fields["weekdays"]))),
        from_time=fields["from_time"],
        to_time=fields["to_time"],
        valid_from=fields.get("valid_from"),
        valid_to=fields.get("valid_to"),
        sell_price_per_liter_minor=fields.get("sell_price_per_liter_minor"),
        percent_off=fields.get("percent_off"),
    )


async def _lock_rule(store: Store, price_rule_id: UUID) -> tuple[str, PriceRule]:
    """Lock a rule's venue, and return its id and the rule; raises `NotFound`, also for a deleted rule."""
    venue_id = await writes.venue_of_rule(store, price_rule_id)
    if venue_id is None:
        raise NotFound("price_rule", price_rule_id)
    await lock_venue(store, venue_id)
    found = [rule for rule in await writes.rules_of_venue(store, venue_id) if rule.price_rule_id == price_rule_id]
    if not found:
        raise NotFound("price_rule", price_rule_id)
    return venue_id, found[0]


async def _require_fitting(store: Store, venue_id: str, rule: PriceRule) -> None:
    """Raise unless the rule is sound, its beverages exist, and no other rule of the venue overlaps it."""
    if (rule.sell_price_per_liter_minor is None) == (rule.percent_off is None):
        raise Invalid("Set exactly one of sell_price_per_liter_minor and percent_off.", field="percent_off")
    if rule.valid_from is not None and rule.valid_to is not None and rule.valid_to < rule.valid_from:
        raise Invalid("valid_to: expected a day that is not before valid_from.", field="valid_to")
    missing = await writes.missing_beverage(store, list(rule.beverage_ids or ()))
    if missing is not None:
        raise NotFound("beverage", missing)
    other = _first_overlap(rule, await writes.rules_of_venue(store, venue_id))
    if other is not None:
        raise PriceRuleOverlap(
            f"{other.name!r} could be on at the same time for the same beverage: change its times, or this rule's.",
            price_rule_id=str(other.price_rule_id),
            name=other.name,
        )


def _first_overlap(rule: PriceRule, others: list[PriceRule]) -> PriceRule | None:
    return next((other for other in others if other.price_rule_id != rule.price_rule_id and overlap(rule, other)), None)


def _in_order(beverage_ids: list[UUID] | None) -> tuple[UUID, ...] | None:
    return None if beverage_ids is None else tuple(dict.fromkeys(beverage_ids))


def _audited(columns: Mapping[str, object]) -> dict[str, object]:
    """A rule's columns under the names of the API."""
    names = {"from_time": "from", "to_time": "to"}
    return {
        names.get(name, name): value.isoformat("minutes") if isinstance(value, time) else value
        for name, value in columns.items()
        if name != "price_rule_id"
    }
