"""The queue of received messages: bounded, and fair between devices.

An MQTT library reads as fast as the broker sends, and acknowledges on receipt. So under too much load what waits would grow without
end, and one device that speaks without pause would make all others wait behind it. Here each device waits in a queue of its own,
they take turns, and few messages of one device are in hand at a time. What a full queue has no room for is dropped: a node repeats
a question until it is answered and a fact until its verdict comes, so that lateness is all that it costs.
"""

import asyncio
import logging
from collections import Counter, deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_QUEUED_PER_DEVICE: Final = 600
"""Messages of one device that wait: more than a node sends that has come back with a full outbox."""
MAX_IN_PROGRESS_PER_DEVICE: Final = 2
"""Messages of one device that are worked on at once: one that is decided, and the next."""
REPEAT_DELAY_S: Final = 0.2
"""Delay of a device's next message after one that can't be used or only repeats, so that a broken device costs nobody else
their turn; an honest one repeats itself once a second."""

log: Final = logging.getLogger(__name__)


class Intake(Generic[T]):
    """Messages by the device that sent them."""

    def __init__(self) -> None:
        self._waiting: Final[dict[str, deque[T]]] = {}
        self._ready: Final[deque[str]] = deque()
        """Devices in turn: each has a message waiting, and may have another one in work."""
        self._in_hand: Final[Counter[str]] = Counter()
        self._overflowing: Final[set[str]] = set()
        self._news = asyncio.Event()

    def put(self, device: str, message: T) -> bool:
        """Let a message wait for its turn; False when the device has too many waiting, and it was dropped."""
        queue = self._waiting.get(device)
        if queue is None:
            queue = self._waiting[device] = deque()
        elif len(queue) >= MAX_QUEUED_PER_DEVICE:
            if device not in self._overflowing:
                self._overflowing.add(device)
                log.warning("%s sends more than can be worked on: what it sends now is dropped, it will send it again", device)
            return False
        queue.append(message)
        self._line_up(device)
        return True

    async def take(self) -> tuple[str, T]:
        """The next message and its device, which must be handed to `done` afterwards."""
        while not self._ready:
            self._news.clear()
            await self._news.wait()
        device = self._ready.popleft()
        queue = self._waiting[device]
        message = queue.popleft()
        if not queue:
            del self._waiting[device]
            self._overflowing.discard(device)
        self._in_hand[device] += 1
        self._line_up(device)
        return device, message

    def done(self, device: str) -> None:
        """A message of this device has been processed."""
        self._in_hand[device] -= 1
        if not self._in_hand[device]:
            del self._in_hand[device]
        self._line_up(device)

    def _line_up(self, device: str) -> None:
        if device in self._waiting and device not in self._ready and self._in_hand[device] < MAX_IN_PROGRESS_PER_DEVICE:
            self._ready.append(device)
            self._news.set()
