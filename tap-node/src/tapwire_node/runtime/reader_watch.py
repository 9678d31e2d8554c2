"""Turns what the reader reports, on its own thread, into events, and detects a reader that has stopped looking for cards."""

from collections.abc import Callable
from functools import partial

from tapwire_node.clock import monotonic_ms
from tapwire_node.controller.events import (
    CardLifted,
    CardSeen,
    EventFactory,
    HardwareFailed,
    HardwareRecovered,
    Part,
)
from tapwire_node.hardware.reader import Reader


class ReaderWatch:
    """A `ReaderListener`. `post` is for the event loop's thread, `post_from_thread` for any other.

    It keeps the last reading: a reader that was only slow does not repeat it, and the controller needs it after a fault.
    """

    def __init__(
        self, reader: Reader, stall_ms: int, post: Callable[[EventFactory], None], post_from_thread: Callable[[EventFactory], None]
    ) -> None:
        self._reader = reader
        self._stall_ms = stall_ms
        self._post = post
        self._post_from_thread = post_from_thread
        self._stalled = False
        self._is_broken = False
        self._seen: EventFactory | None = None

    def card_seen(self, card_uid: str) -> None:
        """A card is on the reader."""
        self._pass_on_seen(partial(CardSeen, card_uid=card_uid))

    def card_lifted(self) -> None:
        """Nothing is on the reader."""
        self._pass_on_seen(CardLifted)

    def reader_failed(self, text: str) -> None:
        """The reader does not work."""
        self._is_broken, self._seen = True, None
        self._post_from_thread(partial(HardwareFailed, part=Part.READER, text=text))

    def reader_recovered(self) -> None:
        """The reader works again."""
        self._is_broken, self._seen = False, None
        self._post_from_thread(partial(HardwareRecovered, part=Part.READER))

    def check_stall(self) -> None:
        """Check the reader, at each tick: one that has not looked for `stall_ms` counts as broken."""
        stalled = monotonic_ms() - self._reader.looked_ms > self._stall_ms
        if stalled and not self._stalled:
            self._post(partial(HardwareFailed, part=Part.READER, text="it no longer looks for cards"))
        if self._stalled and not stalled:
            self._end_stall()
        self._stalled = stalled

    def _end_stall(self) -> None:
        """The reader looks again. One that reported a failure itself also reports its recovery itself."""
        if self._is_broken:
            return
        self._post(partial(HardwareRecovered, part=Part.READER))
        if self._seen is not None:
            self._post(self._seen)

    def _pass_on_seen(self, seen: EventFactory) -> None:
        self._seen = seen
        self._post_from_thread(seen)
