"""Amounts of money as the demo shows them."""

from typing import Final

CURRENCY: Final = "EUR"
MINOR_PER_MAJOR: Final = 100


def amount(minor: int) -> str:
    """`12.50` for 1250 minor units."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // MINOR_PER_MAJOR:,}.{abs(minor) % MINOR_PER_MAJOR:02}"
