"""The database's clock, which an administrator may set back."""

from datetime import timedelta
from typing import Final

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""A moment that is this far ahead of what it may be is no proof that the clock was set back: clocks are corrected in small steps,
and this transaction may have begun before the one that wrote it."""
