"""A TCP connection that can be cut, delayed or made silent: a small proxy between one program and one server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from tapwire_demo.processes import LOOPBACK

CHUNK_BYTES: Final = 65_536
CHUNKS_ON_THE_WAY: Final = 32
"""Bytes that a link holds in each direction; more stays with the sender, as in a full socket."""


class Link:
    """A proxy to a port. `delay_s` is added each way; while it is silent, nothing passes, and what was sent arrives later."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.delay_s = 0.0
        self._target_port = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._carrying: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    @asynccontextmanager
    async def opened(cls, name: str, port: int) -> AsyncIterator["Link"]:
        """A link that carries during the block."""
        link = cls(name, port)
        link._server = await asyncio.start_server(link._admit, LOOPBACK, 0)
        try:
            yield link
        finally:
            link._server.close()
            link.cut()

    @property
    def port(self) -> int:
        """The address that the program connects to."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """End the connections that there are."""
        for task in self._carrying:
            task.cancel()

    def close(self) -> None:
        """Cut, and let nobody in until `open`."""
        self._refuses = True
        self.cut()

    def open(self) -> None:
        """Let everything through again."""
        self._refuses, self.delay_s = False, 0.0
        self._flows.set()

    def silence(self) -> None:
        """Let nothing pass, and tell nobody."""
        self._flows.clear()

    def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until one side ends it, or it is cut: then both sides are reset."""
        there: asyncio.StreamWriter | None = None
        ways: list[asyncio.Task[None]] = []
        try:
            back, there = await asyncio.open_connection(LOOPBACK, self._target_port)
            ways = [asyncio.create_task(self._pump(reader, there)), asyncio.create_task(self._pump(back, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # nobody listens there just now: the program sees its connection end
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_ON_THE_WAY)
        delivering = asyncio.create_task(self._deliver(on_the_way, sink))
        try:
            with suppress(OSError):
                while chunk := await source.read(CHUNK_BYTES):
                    await on_the_way.put((time.monotonic() + self.delay_s, chunk))
                await on_the_way.join()
        finally:
            delivering.cancel()

    async def _deliver(self, on_the_way: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        while True:
            due_s, chunk = await on_the_way.get()
            if (wait_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            await self._flows.wait()
            with suppress(OSError):
                sink.write(chunk)
                await sink.drain()
            on_the_way.task_done()
