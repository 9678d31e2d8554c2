"""A venue with one tap and one guest, made over the admin API of an installation."""

from collections.abc import Callable
from typing import Any, Final

TAP: Final = "bar/taps/left"
CARD: Final = "04a1b2c3"
SCENARIO: Final = f"""repeat = true

[[guests]]
cards = ["{CARD}"]
leave_after_ml = 300
"""
"""A simulated tap's guest, who pours again and again."""


def furnish(api: Callable[..., Any]) -> None:
    """A venue with a tap, a keg on it, an open shift, and a guest with a card. `api(method, path, body)` gives the answer."""
    api("POST", "venues", {"venue_id": "bar", "name": "The Bar", "time_zone": "Europe/Berlin"})
    api("POST", "taps", {"venue_id": "bar", "tap_id": "left", "name": "Left", "max_pour_ml": 500})
    beverage_id = api("POST", "beverages", {"name": "Pils", "sell_price_per_liter_minor": 700})["beverage_id"]
    keg = {"venue_id": "bar", "beverage_id": beverage_id, "initial_volume_ml": 30_000}
    api("PUT", "taps/bar/left/keg", {"keg_id": api("POST", "kegs", keg)["keg_id"]})
    api("POST", "shifts/open", {"venue_id": "bar"})
    guest_id = api("POST", "guests", {"first_name": "Ann", "age_checked": True})["guest_id"]
    api("POST", f"guests/{guest_id}/top-ups", {"amount_minor": 50_000, "method": "cash"})
    api("POST", "visits/open-and-assign-card", {"venue_id": "bar", "guest_id": guest_id, "card_uid": CARD})
