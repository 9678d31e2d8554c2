"""What the core that the kit plays tells a node: the content of its messages, of which a scenario may change any part."""

from typing import Any, Final
from uuid import uuid4

CAP_ML: Final = 100_000


def grant_of(question: dict[str, Any], **changes: object) -> dict[str, Any]:
    """A grant for a question."""
    return {
        "request_id": question["event_id"],
        "pour_id": str(uuid4()),
        "card_uid": question["card_uid"],
        "max_volume_ml": CAP_ML,
        "max_duration_ms": 120_000,
        "idle_timeout_ms": 60_000,
        "display": {"message": "Enjoy!"},
        **changes,
    }


def verdict_on(report: dict[str, Any], **changes: object) -> dict[str, Any]:
    """The verdict on a report that is charged."""
    return {
        "pour_id": report["pour_id"],
        "status": "accepted",
        "outcome": "pending_updated_to_synced",
        "reason": None,
        "volume_ml": report["volume_ml"],
        "amount_minor": 1,
        "balance_minor": 1,
        "currency": "EUR",
        **changes,
    }


def config_of(revision: int, pulses_per_liter: int, **changes: object) -> dict[str, Any]:
    """The config of a tap in service."""
    return {
        "type": "tap_config",
        "status": "active",
        "beverage": None,
        "sell_price_per_liter_minor": 700,
        "currency": "EUR",
        "pulses_per_liter": pulses_per_liter,
        "max_pour_ml": CAP_ML,
        "locale": "en",
        "revision": revision,
        **changes,
    }
