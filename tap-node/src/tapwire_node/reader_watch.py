"""What the reader tells, from its own thread, as events; and whether it still looks for cards at all."""

from collections.abc import Callable
from functools import partial

from tapwire_node.clock import monotonic_ms
from tapwire_node.controller.events import CardLifted, CardSeen, Event, HardwareFailed, HardwareRecovered, Moment, Part
from tapwire_node.hardware.reader import Reader

Happening = Callable[[Moment], Event]
"""An event that lacks only its moment."""


class ReaderWatch:
    """A `ReaderListener`. `post` is for the event loop's thread, `post_from_thread` for any other."""

    def __init__(
        self, reader: Reader, stall_ms: int, post: Callable[[Happening], None], post_from_thread: Callable[[Happening], None]
    ) -> None:
        self._reader = reader
        self._stall_ms = stall_ms
        self._post = post
        self._post_from_thread = post_from_thread
        self._stalled = False

    def card_seen(self, card_uid: str) -> None:
        """A card is on the reader."""
        self._post_from_thread(partial(CardSeen, card_uid=card_uid))

    def card_lifted(self) -> None:
        """Nothing is on the reader."""
        self._post_from_thread(CardLifted)

    def reader_failed(self, text: str) -> None:
        """The reader does not work."""
        self._post_from_thread(partial(HardwareFailed, part=Part.READER, text=text))

    def reader_recovered(self) -> None:
        """The reader works again."""
        self._post_from_thread(partial(HardwareRecovered, part=Part.READER))

    def look(self) -> None:
        """On the event loop, now and then: a reader that has stopped looking counts as broken."""
        stalled = monotonic_ms() - self._reader.looked_ms > self._stall_ms
        if stalled and not self._stalled:
            self._post(partial(HardwareFailed, part=Part.READER, text="it does not look for cards any more"))
        if self._stalled and not stalled:
            self._post(partial(HardwareRecovered, part=Part.READER))
        self._stalled = stalled
