"""A tap's own screen: full-screen at the tap, without a login, opened by a secret for this screen alone.

The secret comes once, in the query of the address shown to an engineer, and stays in the display's cookie.
"""

import asyncio
import hmac
import json
import time
from contextlib import suppress
from typing import Annotated, Any, Final

from litestar import Request, Response, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import PermissionDeniedException
from litestar.params import QueryParameter
from litestar.response import Redirect, ServerSentEvent, ServerSentEventMessage

from tapwire_admin.access.auth import EVERYBODY
from tapwire_admin.console.formats import Formats, zone_of
from tapwire_admin.console.render import html, render
from tapwire_admin.console.tap_screens import RESULT_S, TapSnapshot, screen_texts
from tapwire_admin.console.viewer import COOKIE_MAX_AGE_S
from tapwire_admin.live import Live, LiveKind
from tapwire_admin.requests.dependencies import Db, SlugInPath
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.responses.event_streams import Events, OpenStreams, stream_events
from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.views.devices import secret_hash_of
from tapwire_core.db.views.taps import TapView, get_tap
from tapwire_core.db.views.venues import get_venue
from tapwire_core.domain.venue_scope import ALL_VENUES
from tapwire_core.services.devices import screen_secret
from tapwire_core.services.venues import DEFAULT_GLASS_ML

COOKIE: Final = "tapwire_screen"
MAX_SECRET_LENGTH: Final = 200
POLL_INTERVAL_S: Final = 1.0
"""Interval between reads of the books; the tap's own events come at once."""
HEARTBEAT_S: Final = 3.0
KINDS: Final = frozenset({LiveKind.PROGRESS, LiveKind.NODE, LiveKind.LINK, LiveKind.ANSWER})


@get("/screen/{venue:str}/{tap:str}", access=EVERYBODY)
async def show_screen(
    request: Request[Any, Any, Any],
    db: Db,
    live: NamedDependency[Live],
    venue: SlugInPath,
    tap: SlugInPath,
    key: Annotated[str | None, QueryParameter(max_length=MAX_SECRET_LENGTH)] = None,
) -> Response[Any]:
    """The screen; a key in the query moves into a cookie, and the address is shown without it."""
    path = str(tap_path(venue, tap))
    await _require_key(db, path, key or request.cookies.get(COOKIE, ""))
    own = f"/screen/{venue}/{tap}"
    if key is not None:
        is_secure = request.url.scheme == "https"
        kept = Cookie(COOKIE, value=key, path=own, max_age=COOKIE_MAX_AGE_S, httponly=True, samesite="lax", secure=is_secure)
        return Redirect(own, status_code=303, cookies=[kept])
    shown = Screen(db, live, path)
    await shown.refresh()
    return html(render(db.policy.locale, "tap_screen.html", {"locale": db.policy.locale, "screen": shown.now(), "own": own}))


@get("/screen/{venue:str}/{tap:str}/live", access=EVERYBODY)
async def stream_screen(
    request: Request[Any, Any, Any],
    db: Db,
    live: NamedDependency[Live],
    streams: NamedDependency[OpenStreams],
    venue: SlugInPath,
    tap: SlugInPath,
) -> ServerSentEvent:
    """Stream the screen's changes."""
    path, key = str(tap_path(venue, tap)), request.cookies.get(COOKIE, "")
    await _require_key(db, path, key)
    return stream_events(streams, request, path, _events(Screen(db, live, path), key))


class Screen:
    """State of one tap's screen."""

    def __init__(self, db: Database, live: Live, path: str) -> None:
        self.db: Final = db
        self.path: Final = path
        self.live: Final = live
        self._formats = Formats(db.policy.locale, db.policy.currency)
        self._glass_ml = DEFAULT_GLASS_ML
        self._answered_s = -RESULT_S
        self._tap: TapView | None = None
        self._shift_open = False

    async def refresh(self) -> None:
        """Read tap and venue from the books."""
        self._tap = require_found(await get_tap(self.db, self.path), "tap", self.path)
        venue = require_found(await get_venue(self.db, self._tap.venue_id), "venue", self._tap.venue_id)
        self._shift_open, self._glass_ml = venue.open_shift_id is not None, venue.glass_ml
        policy = self.db.policy
        self._formats = Formats(policy.locale, policy.currency, zone_of(venue.time_zone), venue.volume_unit)

    def note_answer(self) -> None:
        """Record that the core has just answered the tap."""
        self._answered_s = time.monotonic()

    def now(self) -> dict[str, Any]:
        """The screen's current texts."""
        assert self._tap is not None
        kinds = (LiveKind.NODE, LiveKind.PROGRESS, LiveKind.ANSWER)
        node, progress, answer = (self.live.newest(kind, self.path) or {} for kind in kinds)
        age_s = time.monotonic() - self._answered_s
        seen = TapSnapshot(self._tap, self._shift_open, self.live.link, node, progress, answer, age_s, self._glass_ml)
        return screen_texts(seen, self.db.policy.locale, self._formats)


async def _events(screen: Screen, key: str) -> Events:
    poll_at = beat_at = time.monotonic()
    shown: dict[str, Any] = {}
    with screen.live.listen(ALL_VENUES, KINDS) as listener:
        listener.take()
        while True:
            if time.monotonic() >= poll_at:
                await screen.refresh()
                poll_at = time.monotonic() + POLL_INTERVAL_S
            for kind, value in listener.take():
                if kind is LiveKind.ANSWER and value["path"] == screen.path:
                    screen.note_answer()
            now = screen.now()
            if now != shown or time.monotonic() >= beat_at:
                if time.monotonic() >= beat_at and not await _is_key(screen.db, screen.path, key):
                    return
                shown, beat_at = now, time.monotonic() + HEARTBEAT_S
                yield ServerSentEventMessage(data=json.dumps(now, ensure_ascii=False), event="screen")
            with suppress(TimeoutError):
                await asyncio.wait_for(listener.ready.wait(), max(poll_at - time.monotonic(), 0))


async def _require_key(db: Database, path: str, key: str) -> None:
    if not await _is_key(db, path, key):
        raise PermissionDeniedException("Open this screen with the address that the console shows under Devices.")


async def _is_key(db: Database, path: str, key: str) -> bool:
    kept = await secret_hash_of(db, path)
    return kept is not None and hmac.compare_digest(screen_secret(kept).encode(), key.encode())


HANDLERS = (show_screen, stream_screen)
