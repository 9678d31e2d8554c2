"""The queue of received messages: bounded, and fair between devices.

An MQTT library reads as fast as the broker sends, and acknowledges on receipt. Under overload a plain queue would grow without end,
and one device that sends without pause would delay all others. Here each device has its own queue, the queues are served in turn,
and few messages of one device are in progress at a time. Messages for a full queue are dropped: a node repeats a question until it
is answered and a fact until its verdict comes, so dropping costs only time.
"""

import asyncio
import logging
from collections import Counter, deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_QUEUED_PER_DEVICE: Final = 600
"""Queue limit of one device: more than a reconnecting node sends from a full outbox."""
MAX_IN_PROGRESS_PER_DEVICE: Final = 2
"""Messages of one device in progress at once: the one being decided, and the next."""
REPEAT_DELAY_S: Final = 0.2
"""Delay of a device's next message after an unusable or repeated one, so that a broken device doesn't slow the others; a working
one repeats itself once a second."""

log: Final = logging.getLogger(__name__)


class Intake(Generic[T]):
    """Queues of messages, one for each device."""

    def __init__(self) -> None:
        self._waiting: Final[dict[str, deque[T]]] = {}
        self._ready: Final[deque[str]] = deque()
        """Devices to serve next: each has a message waiting, and room for one more in progress."""
        self._in_progress: Final[Counter[str]] = Counter()
        self._overflowing: Final[set[str]] = set()
        self._not_empty = asyncio.Event()

    def put(self, device: str, message: T) -> bool:
        """Queue a message; False when the device's queue is full and the message was dropped."""
        queue = self._waiting.get(device)
        if queue is None:
            queue = self._waiting[device] = deque()
        elif len(queue) >= MAX_QUEUED_PER_DEVICE:
            if device not in self._overflowing:
                self._overflowing.add(device)
                log.warning("%s sends too fast: its messages are dropped until its queue has room; it repeats them", device)
            return False
        queue.append(message)
        self._line_up(device)
        return True

    async def take(self) -> tuple[str, T]:
        """Wait for the next message, and return it with its device; call `done` with the device afterwards."""
        while not self._ready:
            self._not_empty.clear()
            await self._not_empty.wait()
        device = self._ready.popleft()
        queue = self._waiting[device]
        message = queue.popleft()
        if not queue:
            del self._waiting[device]
            self._overflowing.discard(device)
        self._in_progress[device] += 1
        self._line_up(device)
        return device, message

    def done(self, device: str) -> None:
        """Report that a message of this device has been processed."""
        self._in_progress[device] -= 1
        if not self._in_progress[device]:
            del self._in_progress[device]
        self._line_up(device)

    def _line_up(self, device: str) -> None:
        if device in self._waiting and device not in self._ready and self._in_progress[device] < MAX_IN_PROGRESS_PER_DEVICE:
            self._ready.append(device)
            self._not_empty.set()
