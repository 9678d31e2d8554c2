"""Tap nodes as processes that a test may kill, and their simulated taps in a process that stays."""

import asyncio
import functools
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.simulator.client import SimulatorClient
from tapwire_node.simulator.protocol import SimulatorUnreachable
from tests.integration.node.rig import service_client, to_toml
from tests.integration.node.rig import until as until_soon

PATIENCE_S: Final = 60.0
BUSY_MACHINE_MS: Final = 5_000
"""A valve's watchdog that a machine full of other tests does not trip."""
until = functools.partial(until_soon, patience_s=PATIENCE_S)
"""Wait until something holds, on a machine that may be busy."""


class Module:
    """A Python module as a process of its own; its log goes to a file."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self.largest_file: int | None = None
        """No file may grow beyond so many bytes, as on a disk without room for more."""

    async def start(self) -> None:
        with self._log.open("ab") as sink:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *self._arguments, stderr=sink, env=dict(os.environ), preexec_fn=self._limit_files
            )

    def _limit_files(self) -> None:
        if self.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest_file, resource.RLIM_INFINITY))

    def limit_files(self, largest: int | None) -> None:
        """The same while it runs."""
        soft = resource.RLIM_INFINITY if largest is None else largest
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def kill(self) -> None:
        """Kill it like a power cut or the out-of-memory killer."""
        await self._end(signal.SIGKILL)

    async def end(self) -> None:
        """Stop it like systemd."""
        await self._end(signal.SIGTERM)

    async def wait(self) -> int:
        """Wait until it has ended; returns its exit code."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), PATIENCE_S)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
        if self._process is not None:
            await self.wait()

    def log(self) -> str:
        """Its log so far."""
        return self._log.read_text(errors="replace")


class Ear:
    """Records every MQTT message by device path and type, in order."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def all(self, path: str, kind: str) -> list[dict[str, Any]]:
        """Messages of a device and to it."""
        return self._heard.setdefault((path, kind), [])

    async def listen(self, client: Client) -> None:
        async for message in client.messages:
            topic = str(message.topic).removeprefix(f"{ROOT}/").split("/")
            if isinstance(message.payload, bytes) and message.payload and topic[0] != "core":
                heard = json.loads(message.payload)
                self.all("/".join(topic[:3]), heard["type"]).append(heard)


@asynccontextmanager
async def ear_at(broker: EmbeddedBroker) -> AsyncIterator[Ear]:
    """Listen as any operator's `mosquitto_sub` may."""
    async with service_client(broker, "watcher", "ear") as client:
        await client.subscribe(f"{ROOT}/#", qos=1)
        ear = Ear()
        listening = asyncio.create_task(ear.listen(client))
        try:
            yield ear
        finally:
            listening.cancel()


@asynccontextmanager
async def simulator_of(folder: Path, *configs: dict[str, Any]) -> AsyncIterator[tuple[Module, list[Path]]]:
    """A running simulator for taps with these settings; with it the files of their settings, each in a folder of its own."""
    files = []
    for number, config in enumerate(configs):
        home = folder / f"tap-{number}"
        home.mkdir()
        files.append(home / "tap.toml")
        config["hardware"]["simulator"] = str(folder / "beer.sock")
        config["journal"]["file"] = str(home / "journal.sqlite")
        files[-1].write_text(to_toml(config))
    arguments = [argument for file in files for argument in ("--config", str(file))]
    simulator = Module(folder / "simulator.log", "tapwire_node.simulator", *arguments)
    await simulator.start()
    try:
        await until(lambda: not simulator.runs or answers(folder / "beer.sock", configs[0]["tap"]["path"]), simulator.log)
        assert simulator.runs, simulator.log()
        yield simulator, files
    finally:
        await simulator.end()


def answers(socket: Path, tap: str) -> bool:
    """Return whether a simulator serves this tap."""
    try:
        with SimulatorClient(socket, tap) as hand:
            hand.look()
    except SimulatorUnreachable:
        return False
    return True
