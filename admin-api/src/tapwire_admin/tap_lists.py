"""Tap lists of this process, rendered once and kept for everybody who asks.

A venue's list is read from the database once a second at most, however many ask: those who come meanwhile wait for the one query
that runs, and get its answer. An answer is kept under its venue, language and theme, and made from nothing else of a request. Names
of unknown venues cost nothing either: the set of public venues is read once a second at most, and nothing is kept of a name that is
not in it.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Generic, TypeVar

import msgspec

from tapwire_core.db.engine import Database
from tapwire_core.db.views.tap_lists import TapList, TapListNow, find_public_venues, read_tap_list
from tapwire_core.errors import NotFound

REREAD_S: Final = 1.0
"""The time for which a list that was read is taken as it is."""
MAX_AGE_S: Final = 30
"""The time for which others may keep an answer."""
_ETAG_LENGTH: Final = 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer's body, and its ETag: a digest of it, so that all processes have the same."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> "Rendered":
        """The answer with this body."""
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:_ETAG_LENGTH]}"')


@dataclass(slots=True)
class KeptList:
    """A venue's list, what was rendered of it, and the moment of the next change of price, on the process's clock."""

    list: TapList
    changes_at_s: float | None
    rendered: dict[str, Rendered] = field(default_factory=dict)

    def render(self, name: str, make: Callable[[TapList], bytes]) -> Rendered:
        """The rendering of this name, made when it is asked for first."""
        if name not in self.rendered:
            self.rendered[name] = Rendered.of(make(self.list))
        return self.rendered[name]

    def max_age_s(self) -> int:
        """The time for which others may keep an answer: it ends with the price."""
        if self.changes_at_s is None:
            return MAX_AGE_S
        return max(0, min(MAX_AGE_S, int(self.changes_at_s - time.monotonic())))


class TapLists:
    """The lists of the venues that show one."""

    def __init__(self, db: Database) -> None:
        self._db: Final = db
        self._public: Final = _Reread(self._read_public)
        self._lists: Final[dict[str, _Reread[KeptList | None]]] = {}

    async def get(self, venue_id: str) -> KeptList:
        """The list as of now; raises `NotFound` for a venue that shows none, and for one that is unknown."""
        known = self._lists.get(venue_id)
        if known is None:
            if venue_id not in await self._public.get():
                raise NotFound("venue", venue_id)
            known = self._lists.setdefault(venue_id, _Reread(lambda: self._read(venue_id)))
        kept = await known.get()
        if kept is None:
            self._lists.pop(venue_id, None)
            raise NotFound("venue", venue_id)
        return kept

    async def _read_public(self) -> tuple[set[str], None]:
        return await find_public_venues(self._db), None

    async def _read(self, venue_id: str) -> tuple[KeptList | None, float | None]:
        began_s = time.monotonic()
        now: TapListNow | None = await read_tap_list(self._db, venue_id, timedelta(seconds=MAX_AGE_S))
        if now is None:
            return None, None
        # the database told the time after the clock was read here: at the change, no answer is of before it
        changes_at_s = began_s + now.changes_in.total_seconds() if now.changes_in is not None else None
        reread = self._lists.get(venue_id)
        before = reread.newest if reread else None
        rendered = before.rendered if before is not None and before.list == now.list else {}
        return KeptList(now.list, changes_at_s, rendered), changes_at_s


class _Reread(Generic[T]):
    """A value that is read anew when it is older than `REREAD_S`, or its end has come; by one reader for all that wait."""

    def __init__(self, read: Callable[[], Awaitable[tuple[T, float | None]]]) -> None:
        self._read: Final = read
        self._reading: asyncio.Task[T] | None = None
        self._good_until_s = 0.0
        self.newest: T | None = None

    async def get(self) -> T:
        """The value; raises what its reading raises, for all who wait for that reading."""
        if self.newest is not None and time.monotonic() < self._good_until_s:
            return self.newest
        if self._reading is None:
            self._reading = asyncio.create_task(self._reread())
        # a client that leaves cancels its own wait alone
        return await asyncio.shield(self._reading)

    async def _reread(self) -> T:
        try:
            began_s = time.monotonic()
            value, ends_at_s = await self._read()
            self.newest = value
            self._good_until_s = min(began_s + REREAD_S, ends_at_s if ends_at_s is not None else began_s + REREAD_S)
            return value
        finally:
            self._reading = None


def to_json(listed: TapList) -> bytes:
    """A list as the API answers it."""
    return msgspec.json.encode(listed)
