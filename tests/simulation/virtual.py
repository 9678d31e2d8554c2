"""Virtual time: what is due is done in its order, and nothing waits."""

import heapq
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeVar

R = TypeVar("R")

Action = Callable[[], Awaitable[object] | None]


@dataclass(slots=True)
class Clock:
    """The only clock of a simulation, in milliseconds."""

    now_ms: int = 0
    _due: list[tuple[int, int, Action]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def after(self, delay_ms: int, action: Action) -> None:
        """Do something later; of what is due at the same moment, the first that was asked for comes first."""
        heapq.heappush(self._due, (self.now_ms + delay_ms, next(self._numbers), action))

    async def run_until(self, end_ms: int) -> int:
        """Let time pass; how many things were done."""
        done = 0
        while self._due and self._due[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(self._due)
            waiting = action()
            if waiting is not None:
                await waiting
            done += 1
        self.now_ms = end_ms
        return done


def run_now(steps: Coroutine[None, None, R]) -> R:
    """Run what only looks asynchronous: books in memory wait for nothing, so no event loop is needed."""
    try:
        steps.send(None)
    except StopIteration as done:
        result: R = done.value
        return result
    raise RuntimeError("it waits for something that is not virtual")
