"""The console's stream of events, for one viewer: values ready to be shown, and the names of what has changed.

`values`: what moves while beer flows, as texts; money by the one formula of the core. `card`: what lies on a reader. `link`:
whether broker and core are there. `changed`: the ids of the things that a new fact is about, and its kind; parts of a page that
show one of them ask for themselves again. `beat` tells that the stream still lives, `end` that the login does not.
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

from tapwire_admin.access.auth import OPERATOR, token_of
from tapwire_admin.console.render import label_of
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.live import Listener, Live, LiveKind
from tapwire_admin.requests.dependencies import Db
from tapwire_admin.responses.event_streams import Events, stream_events
from tapwire_contracts.reasons import Phase
from tapwire_core.db.engine import Database
from tapwire_core.db.views.audit import AuditEntryView
from tapwire_core.db.views.event_stream import FactsReader, kind_of
from tapwire_core.db.views.taps import TapView, find_taps
from tapwire_core.db.views.users import operator_of_token
from tapwire_core.domain.money import charge
from tapwire_core.services.sessions import hash_token

POLL_INTERVAL_S: Final = 0.3
"""Between two looks for new facts."""
BATCH_WINDOW_S: Final = 0.05
"""So long values gather before they are sent together."""
HEARTBEAT_S: Final = 3.0
MAX_POURS: Final = 500
"""Pours whose grant is remembered."""
KINDS: Final = frozenset({LiveKind.PROGRESS, LiveKind.CARD, LiveKind.NODE, LiveKind.LINK})


@get("/live", access=OPERATOR, include_in_schema=False)
async def stream(request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, live: NamedDependency[Live]) -> ServerSentEvent:
    """What happens from now on."""
    facts = await FactsReader.from_now(db)
    return stream_events(_events(LiveTexts(db, viewer, live), facts, hash_token(token_of(request))))


class LiveTexts:
    """Values as one viewer reads them."""

    def __init__(self, db: Database, viewer: Viewer, live: Live) -> None:
        self.db: Final = db
        self.live: Final = live
        self._viewer: Final = viewer
        self._pours: dict[str, TapView | None] = {}
        self._presence: dict[str, str] = {}
        self._loading: asyncio.Task[None] | None = None

    def values(self, listener: Listener, updates: Sequence[tuple[LiveKind, dict[str, Any]]]) -> list[dict[str, Any]]:
        """What taps do, and then how much has flowed in their pours: whoever begins to pour has a first value of it at once.

        Nothing here waits for the database. A pour that is not known yet is looked up meanwhile, and its value is told then.
        """
        states = [value for kind, value in updates if kind is LiveKind.NODE]
        flowing = {state["path"]: self._last_progress(state) for state in states if state["phase"] == Phase.POURING}
        flowing |= {value["path"]: value for kind, value in updates if kind is LiveKind.PROGRESS}
        unknown = {value["pour_id"]: path for path, value in flowing.items() if value["pour_id"] not in self._pours}
        if self._loading is not None and self._loading.done():
            self._loading.result()  # a database that is away ends the stream, and the browser comes again
            self._loading = None
        if unknown and self._loading is None:
            self._loading = asyncio.create_task(self._load_pours(unknown, listener))
        texts = (self._progress(value) for value in flowing.values())
        return [*(self._phase(state) for state in states), *(value for value in texts if value is not None)]

    def close(self) -> None:
        """Look nothing up any more."""
        if self._loading is not None:
            _cancel(self._loading)

    def presence_changed(self, state: dict[str, Any]) -> bool:
        """Whether a node has come or gone since it was last shown."""
        before = self._presence.get(state["path"])
        self._presence[state["path"]] = state["status"]
        return before is not None and before != state["status"]

    def _phase(self, state: dict[str, Any]) -> dict[str, Any]:
        """What a tap's node does."""
        phase = state["phase"] if state["status"] == "online" else "OFFLINE"
        return {"path": state["path"], "phase": phase, "phase_text": label_of(self._viewer.locale, "phase", state["phase"])}

    def _progress(self, value: dict[str, Any]) -> dict[str, Any] | None:
        """How much has flowed for whom, and what it costs; nothing of a pour that is over."""
        tap, ml = self._pours.get(value["pour_id"]), value["volume_ml"]
        if tap is None or not tap.pending_price_minor or not tap.pending_max_volume_ml:
            return None
        return {
            "path": value["path"],
            "pour_id": value["pour_id"],
            "visit_id": str(tap.pending_visit_id),
            "guest": tap.pending_guest_name,
            "ml": self._viewer.formats.number(ml),
            "money": self._viewer.formats.money(charge(ml, tap.pending_price_minor)),
            "share": min(ml / tap.pending_max_volume_ml, 1),
        }

    def _last_progress(self, state: dict[str, Any]) -> dict[str, Any]:
        """The newest progress of the pour that a tap is in; if there is none yet, that nothing has flowed."""
        newest = self.live.newest(LiveKind.PROGRESS, state["path"])
        if newest is not None and newest["pour_id"] == state["pour_id"]:
            return newest
        return {"path": state["path"], "pour_id": state["pour_id"], "volume_ml": 0}

    async def _load_pours(self, unknown: dict[str, str], listener: Listener) -> None:
        """Read whose pours these are and what was granted, and have their newest values told again."""
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
    """What a fact is about: its kind, what it says happened, and every id that it names."""
    return [kind_of(fact.action).value, fact.action, *fact.subjects]


async def _events(texts: LiveTexts, facts: FactsReader, session: bytes) -> Events:
    """Live values as they come, and what the looks at the database find; the one does not wait for the other."""
    with texts.live.listen(KINDS) as listener:
        events: deque[ServerSentEventMessage] = deque()
        polling = asyncio.create_task(_poll(texts, facts, session, events, listener.ready))
        try:
            yield _event("link", texts.live.link)
            while not polling.done():
                for event in _values(texts, listener):
                    yield event
                while events:
                    yield events.popleft()
                await _wait(listener)
            polling.result()
            yield _event("end", {})
        finally:
            _cancel(polling)
            texts.close()


async def _poll(
    texts: LiveTexts, facts: FactsReader, session: bytes, events: deque[ServerSentEventMessage], ready: asyncio.Event
) -> None:
    """Look for new facts again and again; ends with the login."""
    beat_at = time.monotonic()
    try:
        while True:
            if time.monotonic() >= beat_at:
                if await operator_of_token(texts.db, session) is None:
                    return
                beat_at = time.monotonic() + HEARTBEAT_S
                events.append(_event("beat", texts.live.link))
            topics = [topic for fact in await facts.read_on() for topic in topics_of(fact)]
            if topics:
                events.append(_changed(topics))
            if events:
                ready.set()
            await asyncio.sleep(POLL_INTERVAL_S)
    finally:
        ready.set()


def _cancel(task: asyncio.Task[None]) -> None:
    """End a task of a stream that ends; where both have failed, one has told why."""
    if not task.cancel() and not task.cancelled():
        task.exception()


def _values(texts: LiveTexts, listener: Listener) -> Iterator[ServerSentEventMessage]:
    """All new values, those of taps as one event; and which nodes have come or gone."""
    updates, topics = listener.take(), list[str]()
    if values := texts.values(listener, updates):
        yield _event("values", values)
    for kind, value in updates:
        match kind:
            case LiveKind.NODE:
                if texts.presence_changed(value):
                    topics += [value["path"], "presence"]
            case LiveKind.CARD:
                laid_on = value["card_uid"] if value["type"] == "card_presented" else None
                yield _event("card", {"path": value["path"], "card_uid": laid_on})
            case LiveKind.LINK:
                yield _event("link", value)
            case _:
                pass
    if topics:
        yield _changed(topics)


async def _wait(listener: Listener) -> None:
    """Wait for news, then a moment more, so that many values go as one event."""
    await listener.ready.wait()
    listener.ready.clear()
    await asyncio.sleep(BATCH_WINDOW_S)


def _changed(topics: Iterable[str]) -> ServerSentEventMessage:
    return _event("changed", {"topics": list(dict.fromkeys(topics))})


def _event(name: str, content: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(data=json.dumps(content, ensure_ascii=False, separators=(",", ":")), event=name)


HANDLERS = (stream,)
