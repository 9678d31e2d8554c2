"""Kegs that come off their tap: when one is as good as empty, and what became of it."""

from typing import Final

from tapwire_core.domain.closed_sets import KegFinish

FINAL: Final = frozenset({KegFinish.KICKED, KegFinish.SPOILED, KegFinish.RETURNED})
"""Finishes after which a keg never comes back: it is retired, and its book volume stays 0."""
TAKES_LEAD: Final = frozenset({KegFinish.KICKED, KegFinish.SPOILED})
"""Finishes of a keg that is not low that take a shift lead and a reason."""


def is_low(book_volume_ml: int, initial_volume_ml: int, low_percent: int) -> bool:
    """Return whether at most `low_percent` of a keg's volume is left."""
    return book_volume_ml * 100 <= initial_volume_ml * low_percent


def likely_finish(book_volume_ml: int, initial_volume_ml: int, low_percent: int) -> KegFinish:
    """Guess what became of a keg that comes off: a low one was kicked, another one is kept for later."""
    return KegFinish.KICKED if is_low(book_volume_ml, initial_volume_ml, low_percent) else KegFinish.SWAPPED


def yield_percent(sold_ml: int, gone_ml: int) -> float | None:
    """Return what was sold in per cent of what is gone, with one decimal; None where nothing is gone."""
    return (sold_ml * 1_000 + gone_ml // 2) // gone_ml / 10 if gone_ml > 0 else None
