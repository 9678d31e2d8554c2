"""The formulas of money and volume (SYSTEM.md, "Words"); every gate, screen and settlement uses these.

All are integers: minor units of the currency, millilitres, prices per litre of at least 1.
"""

from typing import Final

ML_PER_LITER: Final = 1000


def charge(volume_ml: int, sell_price_per_liter_minor: int) -> int:
    """The price of a volume in minor units, rounded half up."""
    return (volume_ml * sell_price_per_liter_minor + ML_PER_LITER // 2) // ML_PER_LITER


def affordable_ml(available_minor: int, sell_price_per_liter_minor: int) -> int:
    """The volume that an amount pays for, in whole millilitres."""
    return available_minor * ML_PER_LITER // sell_price_per_liter_minor


def payable_minor(balance_minor: int, held_minor: int, hold_minor: int) -> int:
    """The most that a guest can pay for a pour: its hold plus the available amount, never more than the balance."""
    return balance_minor - max(held_minor - hold_minor, 0)
