"""A broker that answers pings and takes no message in time, as a RabbitMQ does while a member of its cluster hangs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tapwire_contracts.messages import MISSED_HEARTBEATS
from tapwire_contracts.tasks import end_tasks
from tapwire_core.broker import client
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.worker import worker
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.processes import LOOPBACK
from tapwire_node.mqtt import broker_connection
from tapwire_node.runtime.tap_node import running_node
from tapwire_node.settings import Settings
from tests.venue import Venue

HEARTBEAT_MS: Final = 400
PUBLISHED_WITHIN_S: Final = 0.2
SOON_S: Final = 20.0
UNTAKEN_MS: Final = 500
PACE: Final = Intervals(database_check_s=0.1, reconnect_max_s=0.3)
CONNACK: Final = b"\x20\x02\x00\x00"
PINGRESP: Final = b"\xd0\x00"


@dataclass
class HangingBroker:
    """Speaks MQTT 3.1.1, and acknowledges no publication."""

    port: int = 0
    connects_s: list[float] = field(default_factory=list)
    published: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen during the block."""
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                kind, body = await _packet(reader)
                match kind:
                    case 1:  # CONNECT
                        self.connects_s.append(time.monotonic())
                        writer.write(CONNACK)
                    case 3:  # PUBLISH
                        self.published += 1
                    case 8:  # SUBSCRIBE
                        codes = bytes(_filters(body))
                        writer.write(bytes([0x90, 2 + len(codes)]) + body[:2] + codes)
                    case 12:  # PINGREQ
                        writer.write(PINGRESP)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The type and the content of the next packet."""
    kind, length, shift = (await reader.readexactly(1))[0] >> 4, 0, 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return kind, await reader.readexactly(length)


def _filters(body: bytes) -> int:
    """How many filters a SUBSCRIBE has."""
    count, place = 0, 2
    while place < len(body):
        place += 3 + int.from_bytes(body[place : place + 2])
        count += 1
    return count


@pytest.mark.parametrize(("addresses", "stays_s"), [(2, UNTAKEN_MS / 1000), (1, MISSED_HEARTBEATS * HEARTBEAT_MS / 1000)])
async def test_a_worker_leaves_a_broker_that_takes_no_message_when_a_cluster_would_have_lost_its_member_or_nodes_would_miss_it(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, addresses: int, stays_s: float
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_BESIDE_OTHERS_S", PUBLISHED_WITHIN_S)
    monkeypatch.setattr(client, "TIMEOUT_S", PUBLISHED_WITHIN_S)
    monkeypatch.setattr(worker, "UNTAKEN_MS", UNTAKEN_MS)
    db, broker = replace(venue.db, policy=replace(venue.db.policy, core_heartbeat_ms=HEARTBEAT_MS)), HangingBroker()
    async with broker.running(), asyncio.timeout(SOON_S):
        one = f"mqtt://core:secret@{LOOPBACK}:{broker.port}"
        url = ",".join([one] * addresses)
        running = asyncio.create_task(Worker(db, BrokerAddress(url=url, protocol="3.1.1"), PACE, "core-one").run())
        while len(broker.connects_s) < 2:
            await asyncio.sleep(0.02)
        await end_tasks(running)

    stayed_s = broker.connects_s[1] - broker.connects_s[0]
    assert stayed_s >= stays_s, "one message that nobody takes is no reason to leave"
    assert broker.published > 1


@pytest.mark.parametrize(("addresses", "leaves"), [(2, True), (1, False)])
async def test_a_node_leaves_an_address_that_takes_none_of_its_messages_where_it_has_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: int, leaves: bool
) -> None:
    monkeypatch.setattr(broker_connection, "UNTAKEN_MS", UNTAKEN_MS)
    broker = HangingBroker()
    async with broker.running():
        url = ",".join([f"mqtt://bar%2Ftaps%2Fleft:secret@{LOOPBACK}:{broker.port}"] * addresses)
        given = {
            "tap": {"path": "bar/taps/left", "pulses_per_liter": 450},
            "broker": {"url": url, "protocol": "3.1.1", "reconnect_first_ms": 100},
            "journal": {"file": str(tmp_path / "journal.sqlite")},
            "hardware": {"driver": "simulated", "pulses_per_liter": 450},
        }
        async with running_node(msgspec.convert(given, Settings)):
            await asyncio.sleep(6 * UNTAKEN_MS / 1000)

    assert broker.published > 0
    assert (len(broker.connects_s) > 1) == leaves
