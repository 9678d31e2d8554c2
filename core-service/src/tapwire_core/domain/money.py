"""The two formulas of money and volume (SYSTEM.md, "Words"); every gate, screen and settlement uses these.

Integers all through: minor units of the currency, millilitres, prices per litre of at least 1.
"""

from typing import Final

ML_PER_LITER: Final = 1000


def charge(volume_ml: int, sell_price_per_liter_minor: int) -> int:
    """What a volume costs, in minor units, rounded half up."""
    return (volume_ml * sell_price_per_liter_minor + ML_PER_LITER // 2) // ML_PER_LITER


def affordable_ml(available_minor: int, sell_price_per_liter_minor: int) -> int:
    """How many whole millilitres an amount pays for."""
    return available_minor * ML_PER_LITER // sell_price_per_liter_minor
