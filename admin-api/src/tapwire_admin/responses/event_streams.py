"""Streams of server-sent events: places for them, and their ends.

All kinds of streams of a process share one count. When there is no place left the newest stream wins: the oldest one of the owner
who has the most is ended, with an event that says so. So no owner takes the streams of others, however many they open.

A lost database ends streams without an error, since clients reconnect.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from litestar import Request
from litestar.exceptions import ServiceUnavailableException
from litestar.response import ServerSentEvent, ServerSentEventMessage

from tapwire_admin.access.auth import operator_of, token_of
from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.db.views.audit import AuditEntryView
from tapwire_core.db.views.event_stream import AuditReader
from tapwire_core.db.views.users import operator_of_token
from tapwire_core.domain.venue_scope import VenueScope
from tapwire_core.services.sessions import hash_token

MAX_STREAMS: Final = 100
"""Streams that one process serves at once."""
MAX_OF_OWNER: Final = 20
"""Streams of one user, or of one tap's screen."""
MAX_OF_ADDRESS: Final = 60
"""Streams of one network address; a venue is often one."""
MAX_UNSTARTED_S: Final = 30.0
"""Time after which a place whose stream never started is free again: its client left before."""
END: Final = "end"
"""The event that ends a stream; its `reason` is `superseded` or `session_ended`."""
SUPERSEDED: Final = "superseded"
SESSION_ENDED: Final = "session_ended"
ENDS_SESSIONS: Final = frozenset({AuditAction.LOGGED_OUT, AuditAction.USER_CHANGED})

Events = AsyncGenerator[ServerSentEventMessage, None]

_log: Final = logging.getLogger("tapwire.admin")


@dataclass(eq=False)
class Place:
    """One stream's place. `owner`: a user, or a tap's screen."""

    owner: str
    address: str
    taken_at_s: float
    has_started: bool = False
    superseded: asyncio.Event = field(default_factory=asyncio.Event)


class OpenStreams:
    """The places of a process."""

    def __init__(self, total: int = MAX_STREAMS, of_owner: int = MAX_OF_OWNER, of_address: int = MAX_OF_ADDRESS) -> None:
        self._total, self._of_owner, self._of_address = total, of_owner, of_address
        self._places: Final[dict[Place, None]] = {}
        """In the order in which they were taken."""

    def take(self, owner: str, address: str) -> Place:
        """Take a place, at once: nothing is awaited between the count and the taking. Raises 503 if nobody has more than others."""
        now_s = time.monotonic()
        for place in [place for place in self._places if not place.has_started and now_s - place.taken_at_s > MAX_UNSTARTED_S]:
            self.leave(place)
        self._make_room([place for place in self._places if place.owner == owner], self._of_owner, owner)
        self._make_room([place for place in self._places if place.address == address], self._of_address, owner)
        self._make_room(self._places, self._total, owner)
        place = Place(owner, address, now_s)
        self._places[place] = None
        return place

    def leave(self, place: Place) -> None:
        """Free a place; repeating it changes nothing."""
        self._places.pop(place, None)

    def _make_room(self, crowd: Iterable[Place], most: int, newcomer: str) -> None:
        places = list(crowd)
        if len(places) < most:
            return
        counts = Counter(place.owner for place in places)
        owner, count = max(counts.items(), key=lambda item: (item[1], item[0] == newcomer))
        if owner != newcomer and count <= counts[newcomer] + 1:
            raise ServiceUnavailableException(f"{most} streams are open already: close one, or retry later.")
        oldest = next(place for place in places if place.owner == owner)
        self.leave(oldest)
        oldest.superseded.set()


def stream_events(streams: OpenStreams, request: Request[Any, Any, Any], owner: str, events: Events) -> ServerSentEvent:
    """The answer that streams these events, on a place of its owner."""
    place = streams.take(owner, request.client.host if request.client else "")
    return ServerSentEvent(_on_place(streams, place, events))


class ToldFacts(NamedTuple):
    """Facts in a session's scope, and those that it hides."""

    seen: list[AuditEntryView]
    hidden: list[AuditEntryView]


@dataclass(frozen=True, slots=True)
class StreamSession:
    """The session that a stream belongs to. `scope`: the venues of which the stream tells."""

    db: Database
    username: str
    token_hash: bytes
    scope: VenueScope

    @classmethod
    def of(cls, request: Request[Any, Any, Any], db: Database) -> "StreamSession":
        """The session of a request."""
        operator = operator_of(request)
        return cls(db, operator.username, hash_token(token_of(request)), operator.scope)

    async def has_ended(self) -> bool:
        """Look whether it has ended: at each heartbeat."""
        return await operator_of_token(self.db, self.token_hash) is None

    async def read_next(self, facts: AuditReader) -> ToldFacts | None:
        """The next facts; None if one of them has ended the session, or changed its scope."""
        told = await facts.read_next()
        if any(fact.action in ENDS_SESSIONS and self.username in fact.subjects for fact in told):
            operator = await operator_of_token(self.db, self.token_hash)
            if operator is None or operator.scope != self.scope:
                return None
        seen = [fact for fact in told if self.scope.sees(fact.venue_id)]
        return ToldFacts(seen, [fact for fact in told if not self.scope.sees(fact.venue_id)])


def end_event(reason: str) -> ServerSentEventMessage:
    """The last event of a stream."""
    return ServerSentEventMessage(data=json.dumps({"reason": reason}), event=END)


async def _on_place(streams: OpenStreams, place: Place, events: Events) -> AsyncIterator[ServerSentEventMessage]:
    place.has_started = True
    superseded = asyncio.create_task(place.superseded.wait())
    try:
        async with aclosing(_until_database_gone(events)) as told:
            while True:
                following = asyncio.create_task(_next(told))
                try:
                    await asyncio.wait({following, superseded}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not following.done():
                        following.cancel()
                        await asyncio.wait({following})
                if following.cancelled():
                    yield end_event(SUPERSEDED)
                    return
                event = following.result()
                if event is None:
                    return
                yield event
    finally:
        superseded.cancel()
        streams.leave(place)


async def _next(events: Events) -> ServerSentEventMessage | None:
    try:
        return await anext(events)
    except StopAsyncIteration:
        return None


async def _until_database_gone(events: Events) -> Events:
    try:
        with translate_database_errors():
            async with aclosing(events):
                async for event in events:
                    yield event
    except DatabaseUnavailable as gone:
        _log.warning("a stream ends: the database is unreachable, %s", gone)
