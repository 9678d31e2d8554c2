"""What systemd hears of a node: that it is ready, that it lives, that it ends; and nothing while its loop stands still."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tapwire_demo.broker import EmbeddedBroker
from tests.integration.node_person import NOBODY
from tests.integration.node_rig import WAIT_S, NodeProcess, process_at


class Notified:
    """The socket at which systemd would listen."""

    def __init__(self, folder: Path) -> None:
        self._here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = f"@tapwire-test-{os.getpid()}-{folder.name}"
        self._here.bind(f"\0{self.address[1:]}")
        self._here.setblocking(False)

    async def hear(self, text: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await asyncio.get_running_loop().sock_recv(self._here, 4_096)).decode() != text:
                pass

    async def fall_silent(self, seconds: float) -> None:
        """Wait until no sign of life has come for this long."""
        async with asyncio.timeout(WAIT_S):
            with suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(seconds):
                        await self.hear("WATCHDOG=1")


@pytest.fixture
async def supervised(
    mosquitto: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[NodeProcess, Notified]]:
    systemd = Notified(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    async with process_at(mosquitto, tmp_path, NOBODY) as node:
        yield node, systemd


async def test_systemd_is_told_of_start_life_and_end(supervised: tuple[NodeProcess, Notified]) -> None:
    node, systemd = supervised
    await systemd.hear("READY=1")
    for _ in range(3):
        await systemd.hear("WATCHDOG=1")
    assert await node.end() == 0
    await systemd.hear("STOPPING=1")


async def test_a_node_that_stands_still_gives_no_sign_of_life(supervised: tuple[NodeProcess, Notified]) -> None:
    node, systemd = supervised
    await systemd.hear("WATCHDOG=1")
    node.signal(signal.SIGSTOP)
    await systemd.fall_silent(1.0)
    node.signal(signal.SIGCONT)
    await systemd.hear("WATCHDOG=1")
