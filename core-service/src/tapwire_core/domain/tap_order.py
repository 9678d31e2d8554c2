"""The order of a venue's taps for people: by the numbers in their ids, or an order of one's own. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_DIGITS: Final = re.compile(r"(\d+)")


def number_key(tap_id: str) -> tuple[tuple[int, str], ...]:
    """A sort key by which `tap-2` comes before `tap-10`."""
    parts = _DIGITS.split(tap_id)
    return tuple((int(part), "") if position % 2 else (0, part) for position, part in enumerate(parts))


def by_number(tap_ids: Iterable[str]) -> list[str]:
    """Ids of taps by the numbers in them."""
    return sorted(tap_ids, key=lambda tap_id: (number_key(tap_id), tap_id))


def in_own_order(tap_ids: Iterable[str], own: Sequence[str]) -> list[str]:
    """Ids of taps as `own` has them; those that it does not name follow by number."""
    known = by_number(tap_ids)
    place = {tap_id: position for position, tap_id in enumerate(own)}
    return sorted(known, key=lambda tap_id: place.get(tap_id, len(own)))
