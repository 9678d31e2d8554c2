"""What a card reader is to the node."""

from typing import Protocol


class ReaderListener(Protocol):
    """Who hears of cards; may be called on any thread."""

    def card_seen(self, card_uid: str) -> None:
        """A card is on the reader: a new one, another one, or one again after `card_lifted`."""

    def card_lifted(self) -> None:
        """Nothing is on the reader. Also the first thing that an empty reader says."""

    def reader_failed(self, text: str) -> None:
        """The reader does not work; it is tried again."""

    def reader_recovered(self) -> None:
        """The reader works again; what lies on it is told anew."""


class Reader(Protocol):
    """A card reader. It tells changes at once; how long a card must be away to be gone is not its business."""

    @property
    def looked_ms(self) -> int:
        """When it last looked for a card, monotonic."""

    def start(self, listener: ReaderListener) -> None:
        """Begin to look, and tell the listener."""

    def end(self) -> None:
        """Look no more."""
