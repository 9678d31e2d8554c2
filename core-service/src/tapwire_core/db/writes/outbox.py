"""The command outbox for its publisher: committed commands are published at least once, each tap's in order."""

from typing import Any, Final

from msgspec import Struct

from tapwire_contracts.messages import TapConfig
from tapwire_contracts.reasons import ConfigStatus
from tapwire_core.db.shown_prices import shown_price
from tapwire_core.db.store import Store
from tapwire_core.domain.answers import shown_beverage
from tapwire_core.domain.policy import Policy

TAPS_COMMANDS_LOCK: Final = 0x7A9C
"""First half of an advisory lock's key; the second is a hash of the tap. One worker at a time publishes a tap's commands."""


class PendingCommand(Struct, frozen=True):
    """A command that waits to be published; without a payload it is the tap's config."""

    command_id: int
    tap_path: str
    payload: str | None


async def lock_commands(store: Store, limit: int) -> list[PendingCommand]:
    """Lock the oldest commands, and later ones of their taps, for this worker; other workers skip them."""
    rows = await store.connection.fetch(
        """SELECT command_id, tap_path, payload FROM command_outbox WHERE pg_try_advisory_xact_lock($2, hashtext(tap_path))
           ORDER BY command_id LIMIT $1 FOR UPDATE SKIP LOCKED""",
        limit,
        TAPS_COMMANDS_LOCK,
    )
    return [PendingCommand(*row) for row in rows]


async def delete_commands(store: Store, command_ids: list[int]) -> None:
    """Delete published commands."""
    await store.connection.execute("DELETE FROM command_outbox WHERE command_id = ANY($1::bigint[])", command_ids)


async def tap_paths(store: Store) -> list[str]:
    """The paths of all taps."""
    return [row["tap_path"] for row in await store.connection.fetch("SELECT tap_path FROM taps ORDER BY tap_path")]


async def tap_configs(store: Store, paths: list[str]) -> dict[str, TapConfig]:
    """The current config of each of these taps."""
    rows = await store.connection.fetch(
        """SELECT tap_path, tap.status, emergency_stop, pulses_per_liter, max_pour_ml, config_revision,
               beverage.name AS beverage, style, abv_hundredths, sell_price_per_liter_minor, beverage_id,
               prices.facts::text AS price_facts
           FROM taps tap JOIN venues USING (venue_id) LEFT JOIN kegs USING (keg_id) LEFT JOIN beverages beverage USING (beverage_id)
           LEFT JOIN LATERAL (SELECT facts FROM price_rules_now now WHERE now.venue_id = tap.venue_id) prices ON true
           WHERE tap_path = ANY($1::text[])""",
        paths,
    )
    return {row["tap_path"]: _config(row, store.policy) for row in rows}


def _config(row: Any, policy: Policy) -> TapConfig:
    list_price_minor = row["sell_price_per_liter_minor"]
    price = shown_price(list_price_minor, row["beverage_id"], row["price_facts"]) if list_price_minor is not None else None
    return TapConfig(
        status=ConfigStatus.EMERGENCY_STOP if row["emergency_stop"] else ConfigStatus(row["status"]),
        beverage=shown_beverage(row["beverage"], row["style"], row["abv_hundredths"]),
        sell_price_per_liter_minor=price.sell_price_per_liter_minor if price else None,
        list_price_per_liter_minor=list_price_minor,
        price_rule=price.price_rule if price else None,
        currency=policy.currency,
        pulses_per_liter=row["pulses_per_liter"],
        max_pour_ml=row["max_pour_ml"],
        locale=policy.locale,
        revision=row["config_revision"],
    )
