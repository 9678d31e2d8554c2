"""The console's stream of events for one viewer: values ready to be shown, and the names of changed things.

`values`: texts that change while beer flows; money by the core's formula. `card`: the card on a reader, null without one or while
the reader is offline; `is_new`: laid on since the stream began. `link`: state of broker and core. `changed`: kind, action and ids
of a new fact; parts of a page that show one of them are requested again. Of a fact of another venue, or of none, a user of some
venues gets the ids of guests, cards and beverages alone. `beat`: heartbeat. `end`: the session has ended, or the user has opened
one stream too many.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.render import label_of
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.live import Listener, Live, LiveKind
from tapwire_admin.requests.dependencies import Db
from tapwire_admin.responses.event_streams import SESSION_ENDED, Events, OpenStreams, StreamSession, end_event, stream_events
from tapwire_contracts.reasons import Phase
from tapwire_core.db.engine import Database
from tapwire_core.db.views.audit import AuditEntryView
from tapwire_core.db.views.event_stream import AuditReader, kind_of, shared_things
from tapwire_core.db.views.taps import TapView, config_revisions, find_taps
from tapwire_core.domain.money import charge

POLL_INTERVAL_S: Final = 0.3
"""Interval between queries for new facts."""
BATCH_WINDOW_S: Final = 0.05
"""Time to collect values into one event."""
HEARTBEAT_S: Final = 3.0
MAX_POURS: Final = 500
"""Maximum number of pours whose grant is cached."""
KINDS: Final = frozenset({LiveKind.PROGRESS, LiveKind.CARD, LiveKind.NODE, LiveKind.LINK})


@get("/live", access=OPERATOR, include_in_schema=False)
async def stream(
    request: Request[Any, Any, Any],
    db: Db,
    viewer: CurrentViewer,
    live: NamedDependency[Live],
    streams: NamedDependency[OpenStreams],
) -> ServerSentEvent:
    """Stream events from now on."""
    facts = await AuditReader.from_now(db)
    session = StreamSession.of(request, db)
    return stream_events(streams, request, session.username, _events(LiveTexts(db, viewer, live), facts, session))


class LiveTexts:
    """Live values as texts for one viewer."""

    def __init__(self, db: Database, viewer: Viewer, live: Live) -> None:
        self.db: Final = db
        self.live: Final = live
        self._viewer: Final = viewer
        self._pours: dict[str, TapView | None] = {}
        self._cards: dict[str, tuple[str | None, bool]] = {}
        self._laid_on: dict[str, str] = {}
        self._presence: dict[str, tuple[str, int | None]] = {}
        self._configs: dict[str, int] | None = None
        self._loading: asyncio.Task[None] | None = None

    def values(self, listener: Listener, updates: Sequence[tuple[LiveKind, dict[str, Any]]]) -> list[dict[str, Any]]:
        """Phases of taps, then volumes of their pours; a pour that begins has its first value at once.

        Never waits for the database: an unknown pour is looked up in the background, and its value follows.
        """
        states = [value for kind, value in updates if kind is LiveKind.NODE]
        flowing = {state["path"]: self._last_progress(state) for state in states if state["phase"] == Phase.POURING}
        flowing |= {value["path"]: value for kind, value in updates if kind is LiveKind.PROGRESS}
        unknown = {value["pour_id"]: path for path, value in flowing.items() if value["pour_id"] not in self._pours}
        if self._loading is not None and self._loading.done():
            self._loading.result()  # an unreachable database ends the stream, and the browser reconnects
            self._loading = None
        if unknown and self._loading is None:
            self._loading = asyncio.create_task(self._load_pours(unknown, listener))
        texts = (self._progress(value) for value in flowing.values())
        return [*(self._phase(state) for state in states), *(value for value in texts if value is not None)]

    def close(self) -> None:
        """Cancel the lookup in progress."""
        if self._loading is not None:
            _cancel(self._loading)

    def presence_changed(self, state: dict[str, Any]) -> bool:
        """True if a node came online, went offline, or applied another config since its last state: prices change by themselves."""
        before, now = self._presence.get(state["path"]), (state["status"], state.get("config_revision"))
        self._presence[state["path"]] = now
        return before is not None and before != now

    async def changed_configs(self) -> list[str]:
        """Taps with a newer config than at the last look: a price by time is no fact, and a node that is offline says nothing."""
        before, self._configs = self._configs, await config_revisions(self.db)
        return [] if before is None else [path for path, revision in self._configs.items() if before.get(path) != revision]

    def cards(self, updates: Sequence[tuple[LiveKind, dict[str, Any]]], *, is_first: bool) -> list[dict[str, Any]]:
        """The cards on readers that differ from those last sent, and those laid on anew."""
        laid_on = {value["path"]: value["event_id"] for kind, value in updates if kind is LiveKind.CARD and "read_at" in value}
        anew = {path for path, event_id in laid_on.items() if self._laid_on.get(path) != event_id and not is_first}
        self._laid_on |= laid_on
        there = {path: (card_uid, self.live.is_online(path)) for path, card_uid in self.live.cards(self.db.scope).items()}
        changed = [path for path, card in there.items() if path in anew or self._cards.get(path) != card]
        self._cards = there
        return [
            {
                "path": path,
                "card_uid": there[path][0],
                "online": there[path][1],
                "is_new": path in anew and there[path][0] is not None,
            }
            for path in changed
        ]

    def _phase(self, state: dict[str, Any]) -> dict[str, Any]:
        """The phase of a tap's node."""
        phase = state["phase"] if state["status"] == "online" else "OFFLINE"
        return {"path": state["path"], "phase": phase, "phase_text": label_of(self._viewer.locale, "phase", state["phase"])}

    def _progress(self, value: dict[str, Any]) -> dict[str, Any] | None:
        """Volume, cost and guest of a running pour; None for one that has ended."""
        tap, ml = self._pours.get(value["pour_id"]), value["volume_ml"]
        if tap is None or not tap.pending_price_minor or not tap.pending_max_volume_ml:
            return None
        return {
            "path": value["path"],
            "pour_id": value["pour_id"],
            "visit_id": str(tap.pending_visit_id),
            "guest": tap.pending_guest_name,
            "ml": self._viewer.formats.measure(ml),
            "money": self._viewer.formats.money(charge(ml, tap.pending_price_minor)),
            "share": min(ml / tap.pending_max_volume_ml, 1),
        }

    def _last_progress(self, state: dict[str, Any]) -> dict[str, Any]:
        """The newest progress of a tap's current pour; 0 ml before the first."""
        newest = self.live.newest(LiveKind.PROGRESS, state["path"])
        if newest is not None and newest["pour_id"] == state["pour_id"]:
            return newest
        return {"path": state["path"], "pour_id": state["pour_id"], "volume_ml": 0}

    async def _load_pours(self, unknown: dict[str, str], listener: Listener) -> None:
        """Read guests and grants of these pours, then queue their newest values again."""
        taps = await find_taps(self.db, set(unknown.values()))
        self._pours |= dict.fromkeys(unknown)
        self._pours |= {str(tap.pending_pour_id): tap for tap in taps}
        while len(self._pours) > MAX_POURS:
            del self._pours[next(iter(self._pours))]
        for path in unknown.values():
            for kind in (LiveKind.NODE, LiveKind.PROGRESS):
                newest = self.live.newest(kind, path)
                if newest is not None:
                    listener.put((kind, path), newest)


def topics_of(fact: AuditEntryView) -> list[str]:
    """Topics of a fact: its kind, its action, and every id that it names."""
    return [kind_of(fact.action).value, fact.action, *fact.subjects]


async def _events(texts: LiveTexts, facts: AuditReader, session: StreamSession) -> Events:
    """Merge live values with facts from the database; neither waits for the other."""
    with texts.live.listen(session.scope, KINDS) as listener:
        events: deque[ServerSentEventMessage] = deque()
        polling = asyncio.create_task(_poll(texts, facts, session, events, listener.ready))
        try:
            yield _event("link", texts.live.link)
            is_first = True
            while not polling.done():
                for event in _values(texts, listener, is_first=is_first):
                    yield event
                is_first = False
                while events:
                    yield events.popleft()
                await _wait(listener)
            polling.result()
            yield end_event(SESSION_ENDED)
        finally:
            _cancel(polling)
            texts.close()


async def _poll(
    texts: LiveTexts, facts: AuditReader, session: StreamSession, events: deque[ServerSentEventMessage], ready: asyncio.Event
) -> None:
    """Query for new facts periodically; ends with the session."""
    beat_at = time.monotonic()
    try:
        while True:
            topics = list[str]()
            if time.monotonic() >= beat_at:
                if await session.has_ended():
                    return
                beat_at = time.monotonic() + HEARTBEAT_S
                events.append(_event("beat", texts.live.link))
                topics += await texts.changed_configs()
            told = await session.read_next(facts)
            if told is None:
                return
            topics += [topic for fact in told.seen for topic in topics_of(fact)]
            topics += await shared_things(texts.db, {subject for fact in told.hidden for subject in fact.subjects})
            if topics:
                events.append(_changed(topics))
            if events:
                ready.set()
            await asyncio.sleep(POLL_INTERVAL_S)
    finally:
        ready.set()


def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task of an ending stream, and mark its exception as seen: the stream reports the other's."""
    if not task.cancel() and not task.cancelled():
        task.exception()


def _values(texts: LiveTexts, listener: Listener, *, is_first: bool) -> Iterator[ServerSentEventMessage]:
    """New values, those of taps as one event, and changes of nodes' presence; the first ones tell how things were before."""
    updates, topics = listener.take(), list[str]()
    if values := texts.values(listener, updates):
        yield _event("values", values)
    for kind, value in updates:
        match kind:
            case LiveKind.NODE:
                if texts.presence_changed(value):
                    topics += [value["path"], "presence"]
            case LiveKind.LINK:
                yield _event("link", value)
            case _:
                pass
    for card in texts.cards(updates, is_first=is_first):
        yield _event("card", card)
    if topics:
        yield _changed(topics)


async def _wait(listener: Listener) -> None:
    """Wait for a value, then `BATCH_WINDOW_S` more, so that many go as one event."""
    await listener.ready.wait()
    listener.ready.clear()
    await asyncio.sleep(BATCH_WINDOW_S)


def _changed(topics: Iterable[str]) -> ServerSentEventMessage:
    return _event("changed", {"topics": list(dict.fromkeys(topics))})


def _event(name: str, content: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(data=json.dumps(content, ensure_ascii=False, separators=(",", ":")), event=name)


HANDLERS = (stream,)
