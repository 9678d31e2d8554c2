"""A listener that records a reader's events."""

import time
from threading import Condition

WAIT_S = 10.0


class RecordingListener:
    """Records a reader's events in order; a repeated failure counts once."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._news = Condition()

    def card_seen(self, card_uid: str) -> None:
        self._hear(card_uid)

    def card_lifted(self) -> None:
        self._hear("lifted")

    def reader_failed(self, text: str) -> None:
        if self.heard[-1:] != ["failed"]:
            self._hear("failed")

    def reader_recovered(self) -> None:
        self._hear("works")

    def _hear(self, word: str) -> None:
        with self._news:
            self.heard.append(word)
            self._news.notify_all()

    def wait_for(self, word: str, count: int = 1) -> None:
        """Wait until the event was recorded `count` times."""
        with self._news:
            assert self._news.wait_for(lambda: self.heard.count(word) >= count, WAIT_S), self.heard

    def never(self, word: str, again: int = 0, for_s: float = 0.3) -> None:
        """Assert that the event does not happen for a while, beyond `again` earlier times."""
        time.sleep(for_s)
        assert self.heard.count(word) == again, self.heard
