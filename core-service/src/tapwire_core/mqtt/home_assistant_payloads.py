"""Payloads for Home Assistant: a discovery config that makes a tap a device there, and the tap's state as JSON.

Pure. The payloads have no personal data, and no entity has a command topic: Home Assistant shows taps, and opens no valve. No node
publishes a temperature; adding one takes a row of `ENTITIES` and a field of `HomeState`.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tapwire_contracts.currencies import decimal_amount
from tapwire_contracts.reasons import Phase, Presence
from tapwire_contracts.topics import home_topic
from tapwire_core import SOFTWARE
from tapwire_core.db.views.taps import TapView

EXPIRES_S: Final = 180
"""Home Assistant shows a value as unavailable when it was not published for this long."""
STATUSES: Final = ("active", "processing_sync", "locked", "cleaning", "empty", "emergency_stop")
"""The values of `TapView.status`."""

ENTITIES: Final[dict[str, dict[str, Any]]] = {
    "status": {"platform": "sensor", "name": "Status", "device_class": "enum", "options": list(STATUSES)},
    "phase": {"platform": "sensor", "name": "Phase", "device_class": "enum", "options": [phase.value for phase in Phase]},
    "beverage": {"platform": "sensor", "name": "Beverage", "icon": "mdi:glass-mug-variant"},
    "price_per_liter": {"platform": "sensor", "name": "Price per litre", "icon": "mdi:cash"},
    "keg_ml": {
        "platform": "sensor",
        "name": "Keg level",
        "device_class": "volume_storage",
        "state_class": "measurement",
        "unit_of_measurement": "mL",
    },
    "keg_percent": {
        "platform": "sensor",
        "name": "Keg level in percent",
        "icon": "mdi:keg",
        "state_class": "measurement",
        "unit_of_measurement": "%",
    },
    "online": {"platform": "binary_sensor", "name": "Node", "device_class": "connectivity"},
    "needs_attention": {"platform": "binary_sensor", "name": "Needs attention", "device_class": "problem"},
}
"""Each entity, by the field of `HomeState` that it shows."""


class HomeState(Struct, frozen=True, kw_only=True):
    """A tap's state from the books and its node; null where there is no value, such as the level without a keg."""

    venue_id: str
    tap_id: str
    status: str
    phase: str | None
    online: bool
    beverage: str | None
    price_per_liter: str | None
    currency: str
    keg_ml: int | None
    keg_percent: int | None
    needs_attention: bool


def discovery_topic(prefix: str, venue_id: str, tap_id: str) -> str:
    """The topic of a tap's discovery config; ids have no underscore, so no two taps share one."""
    return f"{prefix}/device/{_identifier(venue_id, tap_id)}/config"


def discovery_config(tap: TapView) -> bytes:
    """A tap as a device of Home Assistant (device discovery, since 2024.11)."""
    identifier = _identifier(tap.venue_id, tap.tap_id)
    units = {"price_per_liter": {"unit_of_measurement": f"{tap.currency}/L"}}
    return msgspec.json.encode(
        {
            "device": {
                "identifiers": [identifier],
                "name": tap.name,
                "manufacturer": "Tapwire",
                "model": "Tap",
                **({"sw_version": tap.node_software} if tap.node_software else {}),
            },
            "origin": {"name": "Tapwire", "sw_version": SOFTWARE},
            "components": {
                field: {
                    **entity,
                    **units.get(field, {}),
                    "unique_id": f"{identifier}_{field}",
                    "value_template": _template(field, entity["platform"]),
                    "expire_after": EXPIRES_S,
                }
                for field, entity in ENTITIES.items()
            },
            "state_topic": home_topic(tap.venue_id, tap.tap_id),
            "qos": 1,
        }
    )


def home_state(tap: TapView) -> bytes:
    """A tap's state."""
    level_ml, full_ml, price_minor = tap.keg_book_volume_ml, tap.keg_initial_volume_ml, tap.sell_price_per_liter_minor
    state = HomeState(
        venue_id=tap.venue_id,
        tap_id=tap.tap_id,
        status=tap.status,
        phase=tap.node_phase,
        online=tap.node_status is Presence.ONLINE,
        beverage=tap.beverage_name,
        price_per_liter=decimal_amount(price_minor, tap.currency) if price_minor is not None else None,
        currency=tap.currency,
        keg_ml=level_ml,
        keg_percent=max(level_ml, 0) * 100 // full_ml if level_ml is not None and full_ml else None,
        needs_attention=tap.open_incidents > 0,
    )
    return msgspec.json.encode(state)


def _identifier(venue_id: str, tap_id: str) -> str:
    return f"tapwire_{venue_id}_{tap_id}"


def _template(field: str, platform: str) -> str:
    """A Home Assistant template for the value; None there means unknown."""
    value = f"value_json.{field}"
    return f"{{{{ 'ON' if {value} else 'OFF' }}}}" if platform == "binary_sensor" else f"{{{{ {value} }}}}"
