"""A person at a running node: a program at its control socket, or a tool in a terminal that the test plays."""

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tapwire_node.control.socket_file import control_file, short_address
from tests.integration.node.rig import WAIT_S, Core

NOBODY = '[[guests]]\ncards = ["04a1b2c3"]\npause_ms = 3_600_000\n'
"""A scenario in which no guest comes while a test runs."""


class Person:
    """A program at the control socket, driven by the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._holding: asyncio.Task[None] | None = None

    @classmethod
    async def come(cls, folder: Path) -> "Person":
        with short_address(control_file(folder / "journal.sqlite")) as address:
            return cls(*await asyncio.open_unix_connection(address))

    def say(self, **line: Any) -> None:
        self._writer.write(json.dumps(line).encode() + b"\n")

    def hold(self) -> None:
        """Keep sending `hold`."""
        self._holding = asyncio.create_task(self._keep_holding())

    async def _keep_holding(self) -> None:
        while True:
            self.say(type="hold")
            await asyncio.sleep(0.1)

    async def hear(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            while True:
                line = await self._reader.readline()
                assert line, f"the node hung up before it said {kind}"
                heard: dict[str, Any] = json.loads(line)
                if heard["type"] == kind:
                    return heard

    async def let_go(self) -> None:
        """Fall silent, with the connection open."""
        if self._holding is not None:
            self._holding.cancel()
            with suppress(asyncio.CancelledError):
                await self._holding

    async def hang_up(self) -> None:
        await self.let_go()
        self._writer.close()


class Tool:
    """`tapwire-node SOMETHING` in a process, with a terminal that the test plays."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []

    @classmethod
    async def start(cls, folder: Path, *arguments: str) -> "Tool":
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "tapwire_node", *arguments, "--config", str(folder / "tap.toml"))
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT))

    async def until(self, text: str) -> str:
        """Read until a line has this text."""
        assert self.process.stdout is not None
        async with asyncio.timeout(2 * WAIT_S):
            while read := await self.process.stdout.readline():
                line = read.decode().rstrip()
                self.said.append(line)
                if text in line:
                    return line
        raise AssertionError(f"it never said {text}, but {self.said}")

    async def answer(self, prompt: str, text: str) -> None:
        """Wait for a prompt and type a line."""
        await self.until(prompt)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())

    async def end(self) -> int:
        """Its exit code, once it has ended by itself."""
        assert self.process.stdout is not None
        async with asyncio.timeout(2 * WAIT_S):
            self.said += (await self.process.stdout.read()).decode().splitlines()
            return await self.process.wait()


async def cleaned(core: Core) -> None:
    """The tap is being cleaned, and its node knows it."""
    await core.hear("node_state", phase="IDLE")
    await core.configure(status="cleaning", revision=2)
    await core.hear("node_state", phase="OUT_OF_SERVICE", config_revision=2)
