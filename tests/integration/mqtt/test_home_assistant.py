"""Taps in Home Assistant: what it discovers is valid, follows the books, opens nothing, and goes when the option goes."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from itertools import pairwise
from typing import Any

import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.currencies import decimal_amount
from tapwire_contracts.tasks import end_tasks
from tapwire_core.domain.closed_sets import TapStatus
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.mqtt.home_assistant import RETAINED_WITHIN_S, HomeAssistant
from tapwire_core.services import taps
from tapwire_core.settings import Settings
from tapwire_core.worker.worker import run_core
from tapwire_demo.broker import Account, EmbeddedBroker
from tests.besides import besides
from tests.integration.node.rig import service_client
from tests.venue import OPERATOR, Venue

WITHIN_S = 15
STATE, CONFIG = "tapwire/home/v1/bar/left", "homeassistant/device/tapwire_bar_left/config"
LEFTOVER = "tapwire/home/v1/bar/gone", "homeassistant/device/tapwire_bar_gone/config"
SENSORS = {"status", "phase", "beverage", "price_per_liter", "keg_ml", "keg_percent"}


@dataclass
class Home:
    """Home Assistant, as far as the broker lets it: what is retained for it, by topic, and all that came."""

    retained: dict[str, Any] = field(default_factory=dict)
    came: list[tuple[str, bytes]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def told(self, topic: str) -> list[bytes]:
        """All that came on a topic."""
        return [payload for said, payload in self.came if said == topic]

    async def until(self, is_so: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Wait until what is retained is so."""
        async with asyncio.timeout(WITHIN_S), self.news:
            await self.news.wait_for(lambda: is_so(self.retained))
        return self.retained


@pytest.fixture
async def home(mosquitto: EmbeddedBroker) -> AsyncIterator[Home]:
    """The account `home`, listening to all that it may."""
    await mosquitto.add_account(Account("home", secrets.token_urlsafe(), BrokerRole.HOME))
    seen = Home()
    async with service_client(mosquitto, "home", "home") as client:
        await client.subscribe([("tapwire/home/v1/#", 1), ("homeassistant/#", 1)])

        async def listen() -> None:
            async for message in client.messages:
                topic, payload = str(message.topic), message.payload
                assert isinstance(payload, bytes)
                async with seen.news:
                    seen.came.append((topic, payload))
                    if payload:
                        seen.retained[topic] = json.loads(payload)
                    else:
                        seen.retained.pop(topic, None)
                    seen.news.notify_all()

        listening = asyncio.create_task(listen())
        yield seen
        listening.cancel()


def teller(venue: Venue, broker: EmbeddedBroker, **pace: float) -> HomeAssistant:
    """A core worker's publisher for Home Assistant."""
    return HomeAssistant(
        db=venue.db,
        address=BrokerAddress(url=broker.url("core")),
        prefix="homeassistant",
        **{"poll_s": 0.05, "retry_s": 0.1, **pace},
    )


@asynccontextmanager
async def core_running(settings: Settings) -> AsyncIterator[None]:
    """A core worker as `tapwire-core run` has it."""
    async with besides(run_core(settings)):
        yield


@asynccontextmanager
async def telling(*tellers: HomeAssistant) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Workers that tell Home Assistant during the block."""
    tasks = [asyncio.create_task(each.run()) for each in tellers]
    try:
        yield tasks
    finally:
        await end_tasks(*tasks)


async def test_a_tap_is_a_valid_device_that_shows_and_controls_nothing(venue: Venue, mosquitto: EmbeddedBroker, home: Home) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.grant(ann)

    async with telling(teller(venue, mosquitto)):
        retained = dict(await home.until(lambda retained: {STATE, CONFIG} <= retained.keys()))

    config, state = retained[CONFIG], retained[STATE]
    assert config["device"]["identifiers"] == ["tapwire_bar_left"]
    assert config["origin"]["name"] == "Tapwire"
    assert config["state_topic"] == STATE
    entities: dict[str, Any] = config["components"]
    assert {name for name, entity in entities.items() if entity["platform"] == "sensor"} == SENSORS
    assert {name for name, entity in entities.items() if entity["platform"] == "binary_sensor"} == {"online", "needs_attention"}
    assert len({entity["unique_id"] for entity in entities.values()}) == len(entities)
    for name, entity in entities.items():
        assert f"value_json.{name}" in entity["value_template"]
        assert name in state, "each entity has its value"
        if entity.get("device_class") == "enum":
            assert state[name] in entity["options"] or state[name] is None
            assert not {"state_class", "unit_of_measurement"} & entity.keys(), "Home Assistant refuses an enum with these"
    assert "command_topic" not in json.dumps(config), "nothing opens a valve from there"
    everything = json.dumps(retained)
    assert not [told for told in (ann.card_uid, str(ann.guest_id), "Ann") if told in everything], "nothing personal"


async def test_the_keg_level_and_the_status_follow_and_what_has_not_changed_is_not_told_again(
    venue: Venue, mosquitto: EmbeddedBroker, home: Home
) -> None:
    ann = await venue.guest(balance_minor=100_00)
    async with telling(teller(venue, mosquitto)):
        before = (await home.until(lambda retained: STATE in retained))[STATE]
        pour = await venue.grant(ann)
        await home.until(lambda retained: retained[STATE]["status"] == "processing_sync")
        await venue.report(pour, volume_ml=150)
        after = (await home.until(lambda retained: retained[STATE]["keg_ml"] == before["keg_ml"] - 150))[STATE]
        await taps.change_tap(venue.db, OPERATOR, venue.tap.path, status=TapStatus.LOCKED)
        await home.until(lambda retained: retained[STATE]["status"] == "locked")

    assert after["keg_percent"] == after["keg_ml"] * 100 // 50_000
    assert (after["status"], after["beverage"], after["price_per_liter"]) == ("active", before["beverage"], "500.00")
    assert len(home.told(CONFIG)) == 1
    assert all(told != next_told for told, next_told in pairwise(home.told(STATE)))


async def test_an_unchanged_state_is_told_again_now_and_then_or_it_would_expire(
    venue: Venue, mosquitto: EmbeddedBroker, home: Home
) -> None:
    async with telling(teller(venue, mosquitto, refresh_s=0.1)):
        await home.until(lambda _: len(home.told(STATE)) >= 3)

    assert len(home.told(CONFIG)) == 1


async def test_one_worker_tells_and_another_takes_over(venue: Venue, mosquitto: EmbeddedBroker, home: Home) -> None:
    async with telling(teller(venue, mosquitto)) as (first,):
        await home.until(lambda retained: STATE in retained)
        async with telling(teller(venue, mosquitto)):
            await asyncio.sleep(1)
            assert len(home.told(STATE)) == 1, "the second waits"
            first.cancel()
            await taps.change_tap(venue.db, OPERATOR, venue.tap.path, status=TapStatus.CLEANING)
            await home.until(lambda retained: retained[STATE]["status"] == "cleaning")


async def test_off_by_default_a_worker_publishes_nothing_and_takes_back_what_it_told_before(
    venue: Venue, mosquitto: EmbeddedBroker, home: Home
) -> None:
    off = Settings(database_url=venue.db.url, broker_url=mosquitto.url("core"))

    async with core_running(off):
        await asyncio.sleep(2 * RETAINED_WITHIN_S)
    assert home.came == []
    async with core_running(off.model_copy(update={"home_assistant": True})):
        await home.until(lambda retained: {STATE, CONFIG} == retained.keys())
    async with core_running(off):
        await home.until(lambda retained: not retained)


async def test_a_tap_that_is_no_more_goes(venue: Venue, mosquitto: EmbeddedBroker, home: Home) -> None:
    async with service_client(mosquitto, "core", "older") as older:
        for topic in LEFTOVER:
            await older.publish(topic, b"{}", qos=1, retain=True)

    async with telling(teller(venue, mosquitto)):
        await home.until(lambda retained: {STATE, CONFIG} == retained.keys())


async def test_it_goes_on_when_the_broker_was_away(venue: Venue, mosquitto: EmbeddedBroker, home: Home) -> None:
    away = changed(teller(venue, mosquitto), address=BrokerAddress(url="mqtt://core:x@127.0.0.1:1"))
    async with telling(away) as (task,):
        await asyncio.sleep(0.3)
        assert not task.done()


@pytest.mark.parametrize(
    ("minor", "currency", "text"), [(700, "EUR", "7.00"), (5, "EUR", "0.05"), (700, "JPY", "700"), (1_250, "KWD", "1.250")]
)
def test_a_price_is_told_in_whole_units_of_its_currency(minor: int, currency: str, text: str) -> None:
    assert decimal_amount(minor, currency) == text
