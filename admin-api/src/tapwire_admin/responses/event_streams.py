"""Streams of server-sent events; a lost database ends them without an error, since clients reconnect."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from litestar.response import ServerSentEvent, ServerSentEventMessage

from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors

Events = AsyncGenerator[ServerSentEventMessage, None]

_log: Final = logging.getLogger("tapwire.admin")


def stream_events(events: Events) -> ServerSentEvent:
    """The answer that streams these events."""
    return ServerSentEvent(_until_database_gone(events))


async def _until_database_gone(events: Events) -> AsyncIterator[ServerSentEventMessage]:
    try:
        with translate_database_errors():
            async with aclosing(events):
                async for event in events:
                    yield event
    except DatabaseUnavailable as gone:
        _log.warning("a stream ends: the database is unreachable, %s", gone)
