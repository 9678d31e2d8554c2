"""The outward stream of server-sent events.

Facts (`pour`, `incident`, `visit`, `shift`, `audit`) come from the database with the audit log's ids, so that a client resumes by
`Last-Event-ID`. Live values (`progress`, `card`, `node`) come from the broker, without ids.
"""

import asyncio
import time
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import HeaderParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.live import Listener, Live
from tapwire_admin.requests.dependencies import Db
from tapwire_admin.responses.event_streams import Events, OpenStreams, StreamSession, stream_events
from tapwire_core.db.views.event_stream import AuditReader, kind_of, newest_audit_id

POLL_INTERVAL_S: Final = 0.5
"""Interval between queries for new facts."""
HEARTBEAT_S: Final = 10.0
"""Interval between heartbeats; each also checks the session."""
RESET: Final = "reset"
"""First event if `Last-Event-ID` is above the newest id, as after a restore: the stream begins now, so clients fetch anew."""
MAX_FACT_ID: Final = 2**63 - 1

LastEventId = Annotated[int | None, HeaderParameter(name="Last-Event-ID", ge=0, le=MAX_FACT_ID)]


EXAMPLE: Final = """id: 17
event: pour
data: {"audit_id":17,"action":"pour_authorized","actor":"bar/taps/left","subjects":["…"],"details":{},"created_at":"…"}

event: progress
data: {"path":"bar/taps/left","type":"pour_progress","pour_id":"…","volume_ml":120,"elapsed_ms":2400}
"""


@get("/events", access=OPERATOR, as_text={"text/event-stream": EXAMPLE})
async def stream(
    request: Request[Any, Any, Any],
    db: Db,
    live: NamedDependency[Live],
    streams: NamedDependency[OpenStreams],
    last_event_id: LastEventId = None,
) -> ServerSentEvent:
    """Facts after `Last-Event-ID`, or from now on, and live values.

    If that id is above the newest, as after a restore, the first event is `reset` and facts begin now: fetch anew. A user's oldest
    stream ends for one too many, with the event `end` and the reason `superseded`: don't open it again at once.
    """
    is_reset = last_event_id is not None and last_event_id > await newest_audit_id(db)
    facts = await AuditReader.from_now(db) if last_event_id is None or is_reset else AuditReader(db, last_event_id)
    session = StreamSession.of(request, db)
    return stream_events(streams, request, session.username, _events(live, facts, session, is_reset=is_reset))


async def _events(live: Live, facts: AuditReader, session: StreamSession, *, is_reset: bool) -> Events:
    if is_reset:
        yield ServerSentEventMessage(data="{}", event=RESET, id=facts.after)
    with live.listen(session.scope) as listener:
        beat_at = poll_at = time.monotonic()
        while True:
            if time.monotonic() >= beat_at:
                if await session.has_ended():
                    return
                beat_at = time.monotonic() + HEARTBEAT_S
                yield ServerSentEventMessage(data=None, comment="alive")
            if time.monotonic() >= poll_at:
                told = await session.read_next(facts)
                if told is None:
                    return
                for fact in told.seen:
                    yield ServerSentEventMessage(data=_json(fact), event=kind_of(fact.action), id=fact.audit_id)
                poll_at = time.monotonic() + POLL_INTERVAL_S
            for kind, value in listener.take():
                yield ServerSentEventMessage(data=_json(value), event=kind)
            await _wait(listener, poll_at - time.monotonic())


async def _wait(listener: Listener, most_s: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(listener.ready.wait(), max(most_s, 0))


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()


HANDLERS = (stream,)
