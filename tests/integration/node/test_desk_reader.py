"""A desk reader at a real broker, and the console."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tapwire_admin.live import Live
from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.tasks import end_tasks
from tapwire_core.domain.venue_scope import ALL_VENUES
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_node.hardware.simulated_tap import SimulatedReader
from tapwire_node.runtime.desk_node import DeskNode
from tapwire_node.settings import Settings
from tests.integration.node.person import Tool
from tests.integration.node.rig import CARD, OTHER_CARD, Notified, tap_settings, to_toml
from tests.integration.node.simulator_rig import Ear, Module, ear_at, until

DESK = "bar/readers/desk"


@dataclass
class Counter:
    """A counter with a desk reader, and a client that listens to it."""

    node: DeskNode
    ear: Ear
    broker: EmbeddedBroker

    @property
    def reader(self) -> SimulatedReader:
        assert self.node.hardware.simulated is not None
        return self.node.hardware.simulated

    async def hear(self, kind: str, count: int = 1) -> dict[str, Any]:
        await until(lambda: len(self.ear.all(DESK, kind)) >= count, lambda: f"{count} {kind}, heard {self.ear.all(DESK, kind)}")
        return self.ear.all(DESK, kind)[count - 1]

    async def shows(self, **fields: Any) -> None:
        """Until the retained state has these values."""
        states = self.ear.all(DESK, "node_state")
        await until(lambda: states and fields.items() <= states[-1].items(), lambda: f"{fields}, it shows {states[-1:]}")


async def desk_settings(broker: EmbeddedBroker, folder: Path) -> dict[str, Any]:
    await broker.add_account(Account(DESK, "s3cret", BrokerRole.DEVICE))
    settings = await tap_settings(broker, folder)
    settings["tap"] = {"path": DESK, "reader_id": "counter"}
    settings["broker"]["url"] = broker.url(DESK)
    settings["hardware"] = {"driver": "simulated"}
    del settings["journal"]
    return settings


@pytest.fixture
async def counter(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Counter]:
    settings = msgspec.convert(await desk_settings(broker, tmp_path), Settings)
    async with ear_at(broker) as ear, desk_at(settings) as node:
        counter = Counter(node, ear, broker)
        await counter.shows(status="online", phase="IDLE", card=None)
        yield counter


@asynccontextmanager
async def desk_at(settings: Settings) -> AsyncIterator[DeskNode]:
    node = DeskNode(settings)
    serving = asyncio.create_task(node.serve())
    try:
        yield node
    finally:
        await end_tasks(serving)
        node.hardware.end()


async def test_a_card_on_the_desk_is_published_once_and_removed_once_without_a_question(counter: Counter) -> None:
    counter.reader.present(CARD)
    told = await counter.hear("card_presented")
    await counter.shows(card={"card_uid": CARD, "reader_id": "counter", "read_at": told["read_at"]})
    counter.reader.remove()
    gone = await counter.hear("card_removed")
    await counter.shows(card=None)

    assert set(told) == {"type", "event_id", "card_uid", "reader_id", "read_at", "boot_id"}, "no seq: it is no question"
    assert (gone["card_uid"], gone["reader_id"], gone["boot_id"]) == (CARD, "counter", told["boot_id"])
    assert len(counter.ear.all(DESK, "card_presented")) == 1


async def test_a_flicker_shorter_than_the_debounce_time_is_ignored(counter: Counter) -> None:
    counter.reader.present(CARD)
    await counter.hear("card_presented")
    counter.reader.remove()
    counter.reader.present(CARD)
    counter.reader.present(OTHER_CARD)
    await counter.hear("card_presented", 2)
    cards = [heard["card_uid"] for heard in counter.ear.all(DESK, "card_presented")]
    assert cards == [CARD, OTHER_CARD]
    assert [heard["card_uid"] for heard in counter.ear.all(DESK, "card_removed")] == [CARD]


async def test_a_reader_that_is_lost_is_out_of_service_its_card_is_gone_and_it_comes_back(counter: Counter) -> None:
    counter.reader.present(CARD)
    await counter.hear("card_presented")
    counter.reader.fail("unplugged")
    await counter.hear("card_removed")
    await counter.shows(phase="OUT_OF_SERVICE", card=None, status="online")
    counter.reader.recover()
    await counter.hear("card_presented", 2)
    await counter.shows(phase="IDLE")


async def test_a_card_that_was_on_the_desk_before_the_connection_is_published_with_it(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    settings = msgspec.convert(await desk_settings(broker, tmp_path), Settings)
    await broker.remove_account(DESK)
    async with ear_at(broker) as ear, desk_at(settings) as node:
        counter = Counter(node, ear, broker)
        counter.reader.present(CARD)
        await until(lambda: node.desk.presented is not None, "the card")
        await broker.add_account(Account(DESK, "s3cret", BrokerRole.DEVICE))
        assert (await counter.hear("card_presented"))["card_uid"] == CARD
        await counter.shows(status="online")


async def test_a_desk_reader_that_begins_anew_says_that_the_card_of_before_is_gone(broker: EmbeddedBroker, tmp_path: Path) -> None:
    settings = msgspec.convert(await desk_settings(broker, tmp_path), Settings)
    live = Live()
    following = asyncio.create_task(live.follow(broker.url("watcher"), broker.protocol))
    async with ear_at(broker) as ear:
        async with desk_at(settings) as node:
            old = Counter(node, ear, broker)
            old.reader.present(CARD)
            await until(lambda: live.cards(ALL_VENUES).get(DESK) == CARD, "the card in the console")
        await until(lambda: live.cards(ALL_VENUES)[DESK] is None, "an empty reader once its program has ended")
        async with desk_at(settings) as node:
            new = Counter(node, ear, broker)
            await new.shows(status="online", card=None)
            await until(lambda: live.is_online(DESK) and live.cards(ALL_VENUES)[DESK] is None, "a reader without a card")
            new.reader.remove()
            new.reader.present(OTHER_CARD)
            await until(lambda: live.cards(ALL_VENUES)[DESK] == OTHER_CARD, "the next card")
    await end_tasks(following)


async def test_two_readers_with_one_login_name_each_other_in_their_logs(
    mosquitto: EmbeddedBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = msgspec.convert(await desk_settings(mosquitto, tmp_path), Settings)
    async with desk_at(settings) as one, desk_at(settings) as other:
        boots = {str(node.boot_id) for node in (one, other)}
        await until(lambda: all(any(boot in line for line in alarms(caplog)) for boot in boots), lambda: alarms(caplog))

    assert len(alarms(caplog)) == len(boots), "once each"


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log has about other readers."""
    return [record.getMessage() for record in caplog.records if "uses this desk reader's login" in record.getMessage()]


async def test_the_console_shows_the_card_and_the_desk_reader(counter: Counter) -> None:
    counter.reader.present(CARD)
    told = await counter.hear("card_presented")
    await counter.shows(card={"card_uid": CARD, "reader_id": "counter", "read_at": told["read_at"]})
    live = Live()
    for kind, leaf in (("card_presented", "card"), ("node_state", "state")):
        live.receive(f"tapwire/v1/{DESK}/{leaf}", json.dumps(counter.ear.all(DESK, kind)[-1]).encode())
    with live.listen(ALL_VENUES) as listener:
        assert {(kind.value, value["path"]) for kind, value in listener.take()} == {("card", DESK), ("node", DESK)}


async def test_the_program_serves_a_desk_reader_whose_path_the_file_has(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    config = tmp_path / "tap.toml"
    config.write_text(to_toml(await desk_settings(mosquitto, tmp_path)))
    node = Module(tmp_path / "node.log", "tapwire_node", "run", "--config", str(config))
    async with ear_at(mosquitto) as ear:
        await node.start()
        states = ear.all(DESK, "node_state")
        await until(lambda: states and states[-1]["status"] == "online", node.log)
        await node.end()
        await until(lambda: states[-1]["status"] == "offline", node.log)
    assert not (tmp_path / "journal.sqlite").exists()


async def test_systemd_is_notified_of_a_desk_readers_start_pings_and_end(
    mosquitto: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "tap.toml"
    config.write_text(to_toml(await desk_settings(mosquitto, tmp_path)))
    systemd = Notified(tmp_path)
    systemd.start_the_next(monkeypatch)
    node = Module(tmp_path / "node.log", "tapwire_node", "run", "--config", str(config))
    await node.start()
    await systemd.hear("READY=1")
    for _ in range(3):
        await systemd.hear("WATCHDOG=1")
    await node.end()
    await systemd.hear("STOPPING=1")


async def test_doctor_checks_a_desk_reader_and_its_broker(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    (tmp_path / "tap.toml").write_text(to_toml(await desk_settings(mosquitto, tmp_path)))

    doctor = await Tool.start(tmp_path, "doctor")

    assert await doctor.end() == 0, doctor.said
    assert {line.split()[1] for line in doctor.said} == {"settings", "reader", "SPI", "broker", "RPi.GPIO"}
