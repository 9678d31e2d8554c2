"""Everything that was sent and heard, in order: what scenarios wait for, and what a report shows as proof."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Condition
from typing import Any, Final

from tapwire_conformance.rules import Broken
from tapwire_contracts.codec import read_object

MAX_SHOWN: Final = 600
"""Characters of a payload in a report."""
_BEGAN_S: Final = time.monotonic()


class Way(StrEnum):
    """The direction of a message, as the kit sees it."""

    SENT = "sent"
    HEARD = "heard"
    DONE = "done"
    """No message: what was done at the tap, to the connection or by HTTP."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, or something that was done. `content`: the payload as a JSON object; empty if it is none."""

    at_s: float
    way: Way
    topic: str
    payload: str
    retain: bool = False
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The payload's type."""
        return str(self.content.get("type", ""))

    def __str__(self) -> str:
        retained = " (retained)" if self.retain else ""
        return f"{self.at_s:8.3f} {self.way.value:5} {self.topic}{retained} {self.payload[:MAX_SHOWN]}".rstrip()


Wanted = Callable[[Entry], object]


class Transcript:
    """The list of entries; safe to use from the connections' threads."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._news = Condition()

    def add(self, way: Way, topic: str, payload: str = "", *, retain: bool = False) -> None:
        """Write an entry down."""
        entry = Entry(time.monotonic() - _BEGAN_S, way, topic, payload, retain, read_object(payload.encode()) or {})
        with self._news:
            self._entries.append(entry)
            self._news.notify_all()

    @property
    def mark(self) -> int:
        """The place after the last entry."""
        return len(self._entries)

    def since(self, mark: int) -> list[Entry]:
        """The entries from a mark on."""
        with self._news:
            return self._entries[mark:]

    def heard(self, mark: int, wanted: Wanted) -> list[Entry]:
        """The messages heard from a mark on that fit."""
        return [entry for entry in self.since(mark) if entry.way is Way.HEARD and wanted(entry)]

    def wait(self, mark: int, wanted: Wanted, within_s: float, what: str, count: int = 1) -> Entry:
        """Wait for the `count`-th message that fits, from a mark on; raises `Broken` when it doesn't come."""
        with self._news:
            if self._news.wait_for(lambda: len(self._fitting(mark, wanted)) >= count, within_s):
                return self._fitting(mark, wanted)[count - 1]
        raise Broken(f"within {within_s:g} s there came no {what}")

    def _fitting(self, mark: int, wanted: Wanted) -> list[Entry]:
        return [entry for entry in self._entries[mark:] if entry.way is Way.HEARD and wanted(entry)]
