"""Price rules, and the prices that taps' screens were last told."""

from typing import Any
from uuid import UUID

import msgspec

from tapwire_core.db.shown_prices import shown_price
from tapwire_core.db.store import Store
from tapwire_core.domain.price_rules import PriceRule


async def venue_of_rule(store: Store, price_rule_id: UUID) -> str | None:
    """The venue of a rule that is not deleted."""
    found: str | None = await store.connection.fetchval(
        "SELECT venue_id FROM price_rules WHERE price_rule_id = $1 AND deleted_at IS NULL", price_rule_id
    )
    return found


async def rules_of_venue(store: Store, venue_id: str) -> list[PriceRule]:
    """The rules of a venue that are not deleted, the oldest first; read under the venue's lock."""
    rows = await store.connection.fetch(
        "SELECT * FROM price_rules WHERE venue_id = $1 AND deleted_at IS NULL ORDER BY created_at, price_rule_id", venue_id
    )
    return [msgspec.convert(dict(row), PriceRule) for row in rows]


async def missing_beverage(store: Store, beverage_ids: list[UUID]) -> UUID | None:
    """The first of these ids that is no beverage's."""
    found: UUID | None = await store.connection.fetchval(
        """SELECT asked.beverage_id FROM unnest($1::uuid[]) WITH ORDINALITY AS asked(beverage_id, place)
           LEFT JOIN beverages USING (beverage_id) WHERE beverages.beverage_id IS NULL ORDER BY place LIMIT 1""",
        beverage_ids,
    )
    return found


async def set_deleted(store: Store, price_rule_id: UUID) -> None:
    """Mark a rule as deleted; it stays, for the pours that it priced."""
    await store.connection.execute("UPDATE price_rules SET deleted_at = now() WHERE price_rule_id = $1", price_rule_id)


async def note_new_prices(store: Store) -> list[str]:
    """The taps whose price rule, or its end, is another one than their config was published for; noted as published.

    Each is returned to one worker only: the others find it noted.
    """
    rows = await store.connection.fetch(
        """SELECT tap_path, price_shown, beverage_id, sell_price_per_liter_minor, prices.facts::text AS facts
           FROM taps LEFT JOIN kegs USING (keg_id) LEFT JOIN beverages USING (beverage_id)
           LEFT JOIN price_rules_now prices ON prices.venue_id = taps.venue_id
           WHERE prices.venue_id IS NOT NULL OR price_shown IS NOT NULL
           ORDER BY tap_path"""
    )
    changed: list[str] = []
    for row in rows:
        shown = _shown(row)
        if shown != row["price_shown"] and await _note(store, row["tap_path"], shown, row["price_shown"]):
            changed.append(row["tap_path"])
    return changed


def _shown(row: Any) -> str | None:
    """The part of a price that follows from rules; None for a list price."""
    if row["sell_price_per_liter_minor"] is None:
        return None
    price = shown_price(row["sell_price_per_liter_minor"], row["beverage_id"], row["facts"])
    return msgspec.json.encode(price).decode() if price.price_rule else None


async def _note(store: Store, tap_path: str, shown: str | None, before: str | None) -> bool:
    noted = await store.connection.fetchval(
        "UPDATE taps SET price_shown = $2 WHERE tap_path = $1 AND price_shown IS NOT DISTINCT FROM $3 RETURNING true",
        tap_path,
        shown,
        before,
    )
    return bool(noted)
