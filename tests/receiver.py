"""A receiver of webhooks on loopback, which does what a test tells it to and remembers what it heard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True)
class Heard:
    """One request, as it came."""

    request_line: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        """The key by which a receiver recognises repeats."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """The body, unverified."""
        return msgspec.json.decode(self.body)

    def verified(self, secret: str) -> Any:
        """The body; raises unless the signature is by this secret, as another's library for Standard Webhooks sees it."""
        return Webhook(secret).verify(self.body, self.headers)


Behave = Callable[[Heard], Awaitable[int]]
"""The receiver's answers."""


async def take(_: Heard) -> int:
    """Take everything."""
    return 200


@dataclass
class Receiver:
    """Listens on a port of its own; `extra` are header lines and the body of its answers."""

    behave: Behave = take
    port: int = 0
    headers: str = ""
    body: bytes = b"ok"
    heard: list[Heard] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def open(cls, behave: Behave = take) -> AsyncIterator[Self]:
        """Listen until the block ends."""
        receiver = cls(behave)
        async with receiver.listening():
            yield receiver

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen, on the port of before if there was one."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def types(self) -> list[str]:
        """The types of the events that it heard of."""
        return [heard.event["type"] for heard in self.heard]

    async def hears(self, count: int, within_s: float = 30.0) -> list[Heard]:
        """Wait until so many requests have come."""
        async with asyncio.timeout(within_s):
            while len(self.heard) < count:
                await asyncio.sleep(0.01)
        return self.heard

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            heard = Heard(head[0], headers, await reader.readexactly(int(headers["content-length"])))
            self.heard.append(heard)
            status = await self.behave(heard)
            answer = f"HTTP/1.1 {status} Said\r\n{self.headers}Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
            writer.write(answer.encode() + self.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
