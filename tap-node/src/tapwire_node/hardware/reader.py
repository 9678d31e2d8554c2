"""The interface of card readers and of their listeners."""

from typing import Protocol


class ReaderListener(Protocol):
    """Listener of a reader's events; called on any thread."""

    def card_seen(self, card_uid: str) -> None:
        """A card is on the reader: the first one, another one, or the same one again after `card_lifted`."""

    def card_lifted(self) -> None:
        """No card is on the reader; also the first event of an empty reader."""

    def reader_failed(self, text: str) -> None:
        """The reader does not work; it will be tried again."""

    def reader_recovered(self) -> None:
        """The reader works again; its card, or none, is reported next."""


class Reader(Protocol):
    """A card reader. It reports changes at once; the debounce time is the controller's concern."""

    @property
    def looked_ms(self) -> int:
        """The monotonic time of the last look for a card, in ms."""

    def start(self, listener: ReaderListener) -> None:
        """Begin to look for cards."""

    def end(self) -> None:
        """Stop looking."""
