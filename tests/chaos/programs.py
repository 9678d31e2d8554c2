"""Programs and servers that are started again whenever they end, as a service manager does it, and that may be killed."""

import asyncio
import contextlib
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from tapwire_core.progress import Advance
from tapwire_demo.embedded_broker import EmbeddedBrokerError
from tapwire_demo.postgres_home import EmbeddedPostgresError
from tapwire_demo.processes import Child
from tapwire_demo.programs import Program, start_program
from tests.besides import besides
from tests.chaos.memory import Memory, memory_of

RESTART_PAUSE_S: Final = 0.3
SERVER_LOOK_S: Final = 0.1
TOLD_EACH_S: Final = 0.5


async def tell_the_time(advance: Advance, step: str, seconds: float) -> None:
    """Tell how much of a step's time has passed, until cancelled."""
    begun_s = time.monotonic()
    while True:
        advance(step, int(time.monotonic() - begun_s), max(int(seconds), 1))
        await asyncio.sleep(TOLD_EACH_S)


class KeptProgram:
    """A program of ours. `after_death` is done before each new start, as `ExecStopPost` is."""

    def __init__(self, program: Program, logs: Path, after_death: Callable[[], Awaitable[None]] | None = None) -> None:
        self.name = program.name
        self.starts = 0
        self._program = program
        self._logs = logs
        self.after_death = after_death
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child is not None and self._child.running else None

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it runs."""
        if self._child is not None:
            self._child.send(number)

    def memory(self) -> Memory:
        """Its memory now."""
        return memory_of(self.pid)

    def log(self) -> str:
        """The end of its latest log."""
        return self._child.log_tail() if self._child is not None else ""

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep it running during the block."""
        async with besides(self._keep()):
            yield

    async def _keep(self) -> None:
        while True:
            self.starts += 1
            child = self._child = start_program(self._program, self._logs / f"{self.name}.{self.starts}.log")
            try:
                await child.ended(math.inf)
            finally:
                # each of them is made to bear it, and one that is frozen hears nothing else
                child.send(signal.SIGKILL)
                await child.stop()
            if self.after_death is not None:
                await self.after_death()
            await asyncio.sleep(RESTART_PAUSE_S)


class Server(Protocol):
    """Base of the embedded servers."""

    @property
    def name(self) -> str:
        """Its name for people."""

    @property
    def pid(self) -> int | None:
        """Its process id."""

    @property
    def running(self) -> bool:
        """True while its process runs."""

    async def start(self) -> object:
        """Start it again."""


class KeptServer:
    """A server that is started again when it was killed, but not while it `stays_down`."""

    def __init__(self, server: Server) -> None:
        self.name = server.name
        self.stays_down = False
        self._server = server

    def kill(self) -> None:
        """Kill it like the kernel's out-of-memory killer."""
        if self._server.running and self._server.pid is not None:
            os.kill(self._server.pid, signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._server.pid if self._server.running else None

    def memory(self) -> Memory:
        """Memory of it and its children now."""
        return memory_of(self.pid)

    async def up(self) -> None:
        """Wait until it runs."""
        while not self._server.running:
            await asyncio.sleep(SERVER_LOOK_S)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep it running during the block."""
        async with besides(self._keep()):
            yield

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(SERVER_LOOK_S)
            if not self._server.running and not self.stays_down:
                # processes of the one that was killed may still be ending: the next look tries again
                with contextlib.suppress(EmbeddedPostgresError, EmbeddedBrokerError):
                    await self._server.start()
