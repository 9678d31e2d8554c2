"""A hundred simulated taps in one process, at a real broker."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest

from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_core.services.devices import broker_hash
from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.fleet import running_fleet
from tapwire_node.settings import InvalidSettings, Settings
from tests.integration.node.rig import CARD, core_at, tap_settings
from tests.integration.node.simulator_rig import ear_at, until
from tests.mqtt_tap import protocol_of

TAPS: Final = 100
SECRET: Final = "s3cret"


def path_of(number: int) -> str:
    return f"bar/taps/tap-{number}"


async def fleet_settings(broker: EmbeddedBroker, folder: Path, count: int = TAPS) -> list[Settings]:
    """Settings of taps that have logins at the broker."""
    base, hashed = await tap_settings(broker, folder), broker_hash(SECRET)
    await broker.set_device_logins({path_of(number): hashed for number in range(count)})
    return [msgspec.convert(settings_of(number, base, broker, folder), Settings) for number in range(count)]


def settings_of(number: int, base: dict[str, Any], broker: EmbeddedBroker, folder: Path) -> dict[str, Any]:
    path = path_of(number)
    url = f"mqtt://{quote(path, safe='')}:{SECRET}@{broker.host}:{broker.device_port}"
    return {
        "tap": {"path": path},
        "broker": {**base["broker"], "url": url, "timeout_ms": 20_000},
        "journal": {"file": str(folder / f"{number}.sqlite"), "reserve_kib": 64},
        "hardware": base["hardware"],
    }


async def configure(broker: EmbeddedBroker, count: int) -> None:
    """Publish each tap's config, as a core does."""
    account = broker.account("core")
    config = {"type": "tap_config", "status": "active", "beverage": None, "sell_price_per_liter_minor": 700, "currency": "EUR"}
    config |= {"pulses_per_liter": 1_000, "max_pour_ml": 1_000, "locale": "en", "revision": 1}
    async with Client(
        broker.host, broker.port, username=account.username, password=account.password, protocol=protocol_of(broker)
    ) as client:
        for number in range(count):
            await client.publish(f"{ROOT}/{path_of(number)}/config", json.dumps(config), qos=1, retain=True)


async def test_a_hundred_taps_in_one_process_are_ready_and_each_asks_for_its_card(
    mosquitto: EmbeddedBroker, tmp_path: Path
) -> None:
    settings = await fleet_settings(mosquitto, tmp_path)
    await configure(mosquitto, TAPS)
    async with core_at(mosquitto), ear_at(mosquitto) as ear, running_fleet(settings) as fleet:
        await until(lambda: all(node.state.phase.value == "IDLE" for node in fleet.nodes), "a hundred idle taps")
        for node in fleet.nodes:
            assert node.hardware.simulated is not None
            node.hardware.simulated.reader.present(CARD)
        await until(lambda: all(ear.all(path_of(number), "card_presented") for number in range(TAPS)), "a hundred questions")
        assert len({ear.all(path_of(number), "card_presented")[0]["journal_id"] for number in range(TAPS)}) == TAPS


async def test_the_error_of_a_broken_node_is_raised_when_the_fleet_ends(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    settings = await fleet_settings(mosquitto, tmp_path, 3)
    with pytest.raises(ZeroDivisionError):
        await break_one(settings)


async def break_one(settings: list[Settings]) -> None:
    async with running_fleet(settings) as fleet:
        fleet.nodes[1].fail(ZeroDivisionError())
        await asyncio.wait([fleet.serving[1]])


async def test_a_desk_reader_is_no_part_of_a_fleet(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    (settings,) = await fleet_settings(mosquitto, tmp_path, 1)
    desk = msgspec.structs.replace(settings, tap=msgspec.structs.replace(settings.tap, path="bar/readers/desk"))
    with pytest.raises(InvalidSettings, match="desk reader"):
        async with running_fleet([settings, desk]):
            pass
