"""Time limits for the head and the body of a request, which uvicorn has not: its own limit is for idle connections alone.

A client that opens connections and never ends a request would keep them for ever.
"""

import asyncio
from enum import Enum, auto
from typing import Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_TIMEOUT_S: Final = 10.0
"""Time from the connection, or from a request's first byte, to the end of its headers."""
BODY_TIMEOUT_S: Final = 30.0
"""Time from the end of the headers to the end of the body."""


class _Awaited(Enum):
    """The part of a request that has not come yet."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()


class TimedHTTPProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn's choice of two classes
    """uvicorn's protocol, which closes a connection whose request takes too long to come. Further bytes extend no limit."""

    _awaited = _Awaited.NOTHING
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait_for(_Awaited.HEAD)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and look at what has not."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._wait_for(_Awaited.HEAD)
        else:
            self._wait_for(_Awaited.BODY if cycle.more_body else _Awaited.NOTHING)

    def on_response_complete(self) -> None:
        """Leave an idle connection to uvicorn's own limit."""
        self._wait_for(_Awaited.NOTHING)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any longer."""
        self._wait_for(_Awaited.NOTHING)
        super().connection_lost(exc)

    def _wait_for(self, part: _Awaited) -> None:
        if part is self._awaited:
            return
        self._awaited = part
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if part is not _Awaited.NOTHING:
            timeout_s = HEAD_TIMEOUT_S if part is _Awaited.HEAD else BODY_TIMEOUT_S
            self._deadline = self.loop.call_later(timeout_s, self._close)

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
