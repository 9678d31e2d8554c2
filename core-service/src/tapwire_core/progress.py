"""Progress of long tasks, told to whom it concerns; `commands.progress_line` shows it on a terminal."""

from collections.abc import Callable

Advance = Callable[[str, int, int], None]
"""Told of the present step, how much of it is done, and how much there is, 0 where that is unknown."""


def untold(_step: str, _done: int, _total: int) -> None:
    """Tell nobody."""
