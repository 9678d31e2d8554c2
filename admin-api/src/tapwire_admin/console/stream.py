"""The console's stream of events, for one viewer: values ready to be shown, and the names of what has changed.

`values`: what moves while beer flows, as texts; money by the one formula of the core. `card`: what lies on a reader. `link`:
whether broker and core are there. `changed`: the ids of the things that a new fact is about, and its kind; parts of a page that
show one of them ask for themselves again. `beat` tells that the stream still lives, `end` that the login does not.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage

from tapwire_admin.auth import OPERATOR, token_of
from tapwire_admin.console.render import say
from tapwire_admin.console.viewer import Looking, Viewer
from tapwire_admin.given import Db
from tapwire_admin.live import Listener, Live, LiveKind
from tapwire_core.db.engine import Database
from tapwire_core.db.views.facts import FactsReader, kind_of, newest_fact
from tapwire_core.db.views.operations import AuditEntryView, operator_of_token
from tapwire_core.db.views.visits import get_pour
from tapwire_core.domain.money import charge
from tapwire_core.services.sessions import hash_token

LOOK_EVERY_S: Final = 0.3
"""Between two looks for new facts."""
GATHER_S: Final = 0.1
"""So long values gather before they are sent together."""
BEAT_S: Final = 3.0
MAX_PRICES: Final = 500
"""Pours whose price is remembered."""
KINDS: Final = frozenset({LiveKind.PROGRESS, LiveKind.CARD, LiveKind.NODE, LiveKind.LINK})


@get("/live", access=OPERATOR, include_in_schema=False)
async def stream(request: Request[Any, Any, Any], db: Db, viewer: Looking, live: NamedDependency[Live]) -> ServerSentEvent:
    """What happens from now on."""
    facts = FactsReader(db, await newest_fact(db))
    return ServerSentEvent(_events(Shown(db, viewer), live, facts, hash_token(token_of(request))))


class Shown:
    """Values as one viewer reads them."""

    def __init__(self, db: Database, viewer: Viewer) -> None:
        self.db: Final = db
        self._viewer: Final = viewer
        self._pours: dict[str, tuple[int, int]] = {}
        self._presence: dict[str, str] = {}

    async def progress(self, value: dict[str, Any]) -> dict[str, Any]:
        """How much has flowed, and what it costs."""
        price_minor, max_volume_ml = await self._grant(value["pour_id"])
        ml = value["volume_ml"]
        return {
            "path": value["path"],
            "pour_id": value["pour_id"],
            "ml": self._viewer.formats.number(ml),
            "money": self._viewer.formats.money(charge(ml, price_minor)) if price_minor else "",
            "share": min(ml / max_volume_ml, 1) if max_volume_ml else 0,
        }

    def phase(self, state: dict[str, Any]) -> dict[str, Any]:
        """What a tap's node does."""
        phase = state["phase"] if state["status"] == "online" else "OFFLINE"
        return {"path": state["path"], "phase": phase, "phase_text": say(self._viewer.locale, "phase", state["phase"])}

    def is_news(self, state: dict[str, Any]) -> bool:
        """Whether a node has come or gone since it was last shown."""
        before = self._presence.get(state["path"])
        self._presence[state["path"]] = state["status"]
        return before is not None and before != state["status"]

    async def _grant(self, pour_id: str) -> tuple[int, int]:
        """A pour's price per litre and its limit in ml; zeros for one that nobody knows."""
        if pour_id not in self._pours:
            pour = await get_pour(self.db, UUID(pour_id))
            if pour is None:
                return 0, 0
            self._pours[pour_id] = (pour.sell_price_per_liter_minor, pour.max_volume_ml)
            while len(self._pours) > MAX_PRICES:
                del self._pours[next(iter(self._pours))]
        return self._pours[pour_id]


def topics_of(fact: AuditEntryView) -> list[str]:
    """What a fact is about: its kind, what it says happened, and every id that it names."""
    return [kind_of(fact.action).value, fact.action, *fact.subjects]


async def _events(shown: Shown, live: Live, facts: FactsReader, session: bytes) -> AsyncIterator[ServerSentEventMessage]:
    with live.listen(KINDS) as listener:
        beat_at = look_at = time.monotonic()
        yield _event("link", live.link)
        while True:
            if time.monotonic() >= beat_at:
                if await operator_of_token(shown.db, session) is None:
                    yield _event("end", {})
                    return
                beat_at = time.monotonic() + BEAT_S
                yield _event("beat", live.link)
            topics: list[str] = []
            if time.monotonic() >= look_at:
                topics += [topic for fact in await facts.read_on() for topic in topics_of(fact)]
                look_at = time.monotonic() + LOOK_EVERY_S
            async for event in _values(shown, listener, topics):
                yield event
            if topics:
                yield _event("changed", {"topics": list(dict.fromkeys(topics))})
            await _wait(listener, look_at - time.monotonic())


async def _values(shown: Shown, listener: Listener, topics: list[str]) -> AsyncIterator[ServerSentEventMessage]:
    """All new values, those of taps as one event; what has come or gone is added to the topics."""
    values: list[dict[str, Any]] = []
    for kind, value in listener.take():
        match kind:
            case LiveKind.PROGRESS:
                values.append(await shown.progress(value))
            case LiveKind.NODE:
                values.append(shown.phase(value))
                if shown.is_news(value):
                    topics += [value["path"], "presence"]
            case LiveKind.CARD:
                laid_on = value["card_uid"] if value["type"] == "card_presented" else None
                yield _event("card", {"path": value["path"], "card_uid": laid_on})
            case _:
                yield _event("link", value)
    if values:
        yield _event("values", values)


async def _wait(listener: Listener, most_s: float) -> None:
    """Wait for news, then a moment more, so that many values go as one event; or until it is time to look."""
    with suppress(TimeoutError):
        await asyncio.wait_for(listener.news.wait(), max(most_s, 0))
    if listener.news.is_set():
        await asyncio.sleep(GATHER_S)


def _event(name: str, content: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(data=json.dumps(content, ensure_ascii=False, separators=(",", ":")), event=name)


HANDLERS = (stream,)
