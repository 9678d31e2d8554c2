"""The vocabulary of tests of check-outs."""

from typing import Any, Final

from tests.venue import Guest, Venue

CASH: Final = {"payout": {"method": "cash"}, "card_returned": True}
KEEP: Final = {"payout": None, "card_returned": True}


def adds_up(receipt: dict[str, Any]) -> bool:
    """True if the receipt's sums are its balance, and its pours what was poured."""
    comes = ("opening_balance", "top_ups", "comps", "adjustments")
    goes = ("poured", "charges", "reversals", "refunds", "paid_out", "deposit")
    total = sum(receipt[f"{name}_minor"] for name in comes) - sum(receipt[f"{name}_minor"] for name in goes)
    return bool(total == receipt["balance_minor"] and receipt["poured_minor"] == sum(p["amount_minor"] for p in receipt["pours"]))


async def pour(venue: Venue, guest: Guest, volume_ml: int) -> None:
    """The guest pours a volume."""
    await venue.report(await venue.grant(guest), volume_ml)
