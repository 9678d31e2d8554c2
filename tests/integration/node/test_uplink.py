"""A device's connection when too many messages wait for the broker, and with an unusable CA file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

import msgspec
import pytest

from tapwire_contracts.messages import CardPresented, NodeState, PourProgress
from tapwire_contracts.reasons import ConfigStatus, Presence
from tapwire_contracts.tasks import end_tasks
from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.controller.node_state import node_state_message
from tapwire_node.mqtt.broker_connection import MAX_PENDING_PUBLISHES, RESERVED_FOR_QUESTIONS, BrokerConnection
from tapwire_node.settings import Settings, broker_addresses, device_path
from tests.integration.node.rig import CARD, Core, core_at, tap_settings, until
from tests.unit.node.controller_bench import ControllerBench


@dataclass
class Line:
    """The connection of a tap whose controller is on the bench, and the core."""

    tap: ControllerBench
    uplink: BrokerConnection
    core: Core

    def crowd(self) -> None:
        """Send more messages at once than may wait."""
        for _ in range(MAX_PENDING_PUBLISHES):
            self.uplink.send(PourProgress(pour_id=uuid4(), volume_ml=1, elapsed_ms=1))

    def lock(self) -> None:
        """The tap is locked, and would tell it."""
        self.tap.config(status=ConfigStatus.LOCKED, revision=2)
        self.uplink.send_state()


@pytest.fixture
async def line(mosquitto: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Line]:
    settings = msgspec.convert(await tap_settings(mosquitto, tmp_path), Settings)
    async with core_at(mosquitto) as core, line_at(settings, ControllerBench().in_service()) as (tap, uplink):
        await core.hear("node_state", status="online")
        yield Line(tap, uplink, core)


@asynccontextmanager
async def line_at(settings: Settings, tap: ControllerBench) -> AsyncIterator[tuple[ControllerBench, BrokerConnection]]:
    def show(presence: Presence, connection: int) -> NodeState:
        return node_state_message(tap.state, presence, connection, software="test", uptime_ms=1)

    uplink = BrokerConnection(device_path(settings), broker_addresses(settings), settings.broker, show, lambda _: None, Random(1))
    running = asyncio.create_task(uplink.run())
    yield tap, uplink
    assert not running.done()
    await end_tasks(running)


async def test_the_last_state_is_published_although_many_messages_wait(line: Line) -> None:
    line.crowd()
    line.lock()
    await line.core.hear("node_state", config_revision=2, phase="OUT_OF_SERVICE")


async def test_no_state_follows_the_offline_state(line: Line) -> None:
    line.crowd()
    line.lock()
    await line.uplink.publish_offline()
    line.uplink.send_state()
    await line.core.hear("node_state", status="offline")
    await asyncio.sleep(0.3)
    assert line.core.all("node_state")[-1]["status"] == "offline"


async def test_a_question_is_sent_although_many_facts_wait(line: Line) -> None:
    line.crowd()
    question = CardPresented(
        event_id=uuid4(), card_uid=CARD, reader_id="tap", read_at="", boot_id=uuid4(), journal_id=uuid4(), seq=1, unsettled=()
    )
    line.uplink.send(question)
    await line.core.hear("card_presented", event_id=str(question.event_id))
    room = MAX_PENDING_PUBLISHES - RESERVED_FOR_QUESTIONS
    assert len(line.core.all("pour_progress")) in (room, room - 1)  # the online state may still wait for its acknowledgement


@pytest.mark.parametrize("content", [None, "-----BEGIN CERTIFICATE-----\nMIID"], ids=["gone", "half written"])
async def test_an_unusable_ca_file_is_logged_and_tried_again(
    mosquitto: EmbeddedBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    given = await tap_settings(mosquitto, tmp_path)
    ca_file = tmp_path / "ca.crt"
    if content is not None:
        ca_file.write_text(content)
    given["broker"] |= {"url": given["broker"]["url"].replace("mqtt://", "mqtts://"), "ca_file": str(ca_file)}
    async with line_at(msgspec.convert(given, Settings), ControllerBench()):
        await until(lambda: caplog.text.count(f"broker.ca_file: {ca_file} can't be used") >= 2, lambda: caplog.text)
