"""The node's notifications to systemd: ready, watchdog pings, stopping; and no ping while its loop hangs."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tapwire_demo.broker import EmbeddedBroker
from tests.integration.node.person import NOBODY
from tests.integration.node.rig import NodeProcess, Notified, process_at


@pytest.fixture
async def supervised(
    mosquitto: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[NodeProcess, Notified]]:
    systemd = Notified(tmp_path)
    systemd.start_the_next(monkeypatch)
    async with process_at(mosquitto, tmp_path, NOBODY) as node:
        yield node, systemd


async def test_systemd_is_notified_of_start_pings_and_end(supervised: tuple[NodeProcess, Notified]) -> None:
    node, systemd = supervised
    await systemd.hear("READY=1")
    for _ in range(3):
        await systemd.hear("WATCHDOG=1")
    assert await node.end() == 0
    await systemd.hear("STOPPING=1")


async def test_a_hanging_node_sends_no_ping(supervised: tuple[NodeProcess, Notified]) -> None:
    node, systemd = supervised
    await systemd.hear("WATCHDOG=1")
    node.signal(signal.SIGSTOP)
    await systemd.fall_silent(1.0)
    node.signal(signal.SIGCONT)
    await systemd.hear("WATCHDOG=1")
