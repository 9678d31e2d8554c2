"""Stolen time: a moment in which nothing ran is nobody's fault, and nothing else is excused."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final, Self

_PAUSE_S: Final = 0.01


class Stolen:
    """Longest time for which this machine kept a runnable program waiting: no node can help it.

    A thread of its own measures it, so that an event loop which hangs by a fault of ours counts as no such moment.
    """

    def __init__(self) -> None:
        self._worst_s = 0.0
        self._slept_s = time.monotonic()
        self._ended = Event()

    @classmethod
    @contextmanager
    def measured(cls) -> Iterator[Self]:
        """Measure during the block."""
        stolen = cls()
        thread = Thread(target=stolen._measure, name="stolen", daemon=True)
        thread.start()
        try:
            yield stolen
        finally:
            stolen._ended.set()
            thread.join()

    @property
    def worst_ms(self) -> int:
        """The longest moment so far, also one that is just over and that the thread has not seen yet."""
        if not self._ended.is_set():
            self._note()
        return math.ceil(self._worst_s * 1_000)

    def flow_ml(self, ml_per_s: int) -> int:
        """Volume in such a moment through a valve that was to be closed just then."""
        return self.worst_ms * ml_per_s // 1_000

    def _measure(self) -> None:
        while not self._ended.is_set():
            self._slept_s = time.monotonic()
            self._ended.wait(_PAUSE_S)
            self._note()

    def _note(self) -> None:
        self._worst_s = max(self._worst_s, time.monotonic() - self._slept_s - _PAUSE_S)
