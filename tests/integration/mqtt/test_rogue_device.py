"""The shipped broker configuration against a device that wants more than its own: a real Mosquitto, everything tried."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import paho.mqtt.client as paho
import pytest
from aiomqtt import MqttError, ProtocolVersion, Will

from tapwire_core.broker.client import Client
from tests.conftest import require_mosquitto
from tests.shipped_broker import PATIENCE_S, ShippedBroker, run, shipped_broker

VICTIM, ROGUE = "bar/taps/left", "bar/taps/rogue"
SECRETS = {VICTIM: "secret of the victim", ROGUE: "secret of the rogue"}
ROOT = "tapwire/v1"
OVERSIZE_BYTES = 20_000
REFUSED_S = 2.0
"""The client library does not notice that TLS ended before its login; it waits so long."""


@pytest.fixture(scope="module", params=["tls", "plain"])
async def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ShippedBroker]:
    """The shipped broker, with two devices that may log in; tests leave nothing retained on it."""
    require_mosquitto()
    async with shipped_broker(tmp_path_factory.mktemp("shipped") / "broker", request.param) as running:
        running.let_in(SECRETS)
        await until_let_in(running, VICTIM)
        yield running


@pytest.fixture
async def core(broker: ShippedBroker) -> AsyncIterator[Client]:
    """A core worker's connection that hears all that the core may."""
    async with broker.service("core", client_id="core-1") as client:
        await client.subscribe(f"{ROOT}/+/taps/+/#", qos=1)
        yield client


@pytest.fixture
async def rogue(broker: ShippedBroker) -> AsyncIterator[Client]:
    """The rogue device, logged in as what it is."""
    async with broker.device(ROGUE, SECRETS[ROGUE]) as client:
        yield client


async def test_a_good_device_the_core_and_a_watcher_can_work(broker: ShippedBroker, core: Client) -> None:
    async with broker.device(VICTIM, SECRETS[VICTIM]) as device, broker.service("operator") as watcher:
        await device.subscribe(f"{ROOT}/{VICTIM}/command", qos=1)
        await watcher.subscribe(f"{ROOT}/#", qos=1)

        await device.publish(f"{ROOT}/{VICTIM}/card", b"card", qos=1)
        await core.publish(f"{ROOT}/{VICTIM}/command", b"command", qos=1)

        assert (await next_payload(core), await next_payload(device)) == (b"card", b"command")
        assert {await next_payload(watcher), await next_payload(watcher)} == {b"card", b"command"}


@pytest.mark.parametrize("leaf", ["state", "card", "pour/progress", "pour/completed", "flow", "command", "config"])
async def test_it_can_not_write_anothers_topics(broker: ShippedBroker, core: Client, rogue: Client, leaf: str) -> None:
    await rogue.publish(f"{ROOT}/{VICTIM}/{leaf}", b"forged", qos=1)
    await rogue.publish(f"{ROOT}/{ROGUE}/card", b"its own", qos=1)

    assert await next_payload(core) == b"its own"


@pytest.mark.parametrize("retain", [False, True], ids=["at-once", "retained"])
async def test_it_can_not_command_or_configure_itself(broker: ShippedBroker, core: Client, rogue: Client, retain: bool) -> None:
    for leaf in ("command", "config"):
        await rogue.subscribe(f"{ROOT}/{ROGUE}/{leaf}", qos=1)
        await rogue.publish(f"{ROOT}/{ROGUE}/{leaf}", b"open the valve", qos=1, retain=retain)
    await core.publish(f"{ROOT}/{ROGUE}/command", b"from the core", qos=1)

    assert await next_payload(rogue) == b"from the core"


@pytest.mark.parametrize("topic", ["homeassistant/device/tapwire_bar_left/config", "tapwire/home/v1/bar/left"])
async def test_it_can_not_tell_home_assistant_anything(broker: ShippedBroker, rogue: Client, topic: str) -> None:
    await rogue.publish(topic, b"a switch that opens the valve", qos=1, retain=True)

    async with broker.service("home", client_id="home") as home, broker.service("core") as core:
        await home.subscribe(topic, qos=1)
        await home.publish(topic, b"from home itself", qos=1)
        await core.publish(topic, b"from the core", qos=1)
        assert await next_payload(home) == b"from the core"


async def test_home_assistants_account_commands_nobody_and_reads_no_cards(broker: ShippedBroker) -> None:
    async with broker.service("home", client_id="home") as home, broker.device(VICTIM, SECRETS[VICTIM]) as victim:
        await home.subscribe(f"{ROOT}/#", qos=1)
        await home.subscribe("tapwire/home/v1/#", qos=1)
        await victim.subscribe(f"{ROOT}/{VICTIM}/command", qos=1)
        await victim.publish(f"{ROOT}/{VICTIM}/card", b"a card", qos=1)
        await home.publish(f"{ROOT}/{VICTIM}/command", b"open the valve", qos=1)
        async with broker.service("core") as core:
            await core.publish(f"{ROOT}/{VICTIM}/command", b"from the core", qos=1)
            await core.publish("tapwire/home/v1/bar/left", b"a state", qos=1)
        assert (await next_payload(home), await next_payload(victim)) == (b"a state", b"from the core")


async def test_what_it_retains_as_a_command_reaches_nobody_who_comes_later(broker: ShippedBroker, rogue: Client) -> None:
    await rogue.publish(f"{ROOT}/{VICTIM}/command", b"open the valve", qos=1, retain=True)

    async with broker.device(VICTIM, SECRETS[VICTIM]) as victim, broker.service("core") as core:
        await victim.subscribe(f"{ROOT}/{VICTIM}/command", qos=1)
        await core.publish(f"{ROOT}/{VICTIM}/command", b"from the core", qos=1)
        assert await next_payload(victim) == b"from the core"


async def test_it_can_not_pretend_to_be_a_core_worker(broker: ShippedBroker, rogue: Client) -> None:
    await rogue.publish(f"{ROOT}/core/core-9/state", b"here", qos=1, retain=True)
    async with broker.service("operator") as watcher, broker.service("core") as core:
        await watcher.subscribe(f"{ROOT}/core/+/state", qos=1)
        await core.publish(f"{ROOT}/core/core-1/state", b"the real one", qos=1)
        assert await next_payload(watcher) == b"the real one"


@pytest.mark.parametrize(
    "wanted",
    [
        "#",
        "+/+/#",
        f"{ROOT}/#",
        f"{ROOT}/+/taps/+/command",
        f"{ROOT}/{VICTIM}/#",
        f"{ROOT}/{VICTIM}/command",
        "$SYS/#",
        "$SYS/broker/uptime",
    ],
)
async def test_it_reads_nothing_but_its_own_whatever_it_subscribes_to(
    broker: ShippedBroker, core: Client, rogue: Client, wanted: str
) -> None:
    await rogue.subscribe(wanted, qos=1)
    async with broker.device(VICTIM, SECRETS[VICTIM]) as victim:
        await victim.publish(f"{ROOT}/{VICTIM}/card", b"a card", qos=1)
        await core.publish(f"{ROOT}/{VICTIM}/command", b"a grant", qos=1)
        await core.publish(f"{ROOT}/{VICTIM}/config", b"a price", qos=1)
    await rogue.subscribe(f"{ROOT}/{ROGUE}/command", qos=1)
    await core.publish(f"{ROOT}/{ROGUE}/command", b"its own", qos=1)

    assert await next_payload(rogue) == b"its own"


async def test_it_can_not_throw_another_device_off_by_its_client_id(broker: ShippedBroker, core: Client) -> None:
    async with broker.device(VICTIM, SECRETS[VICTIM]) as victim, broker.device(ROGUE, SECRETS[ROGUE], client_id=VICTIM):
        await victim.publish(f"{ROOT}/{VICTIM}/card", b"still here", qos=1)
        assert await next_payload(core) == b"still here"


async def test_its_secret_does_not_open_the_services_listener_where_it_could_throw_off_the_core(broker: ShippedBroker) -> None:
    with pytest.raises(aiomqtt.MqttCodeError):
        async with broker.client(broker.service_port, ROGUE, SECRETS[ROGUE], "core-1"):
            pass


@pytest.mark.parametrize("username", [VICTIM, "core", "+/taps/+", "#", ""])
async def test_another_name_needs_another_secret(broker: ShippedBroker, username: str) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with broker.device(username, SECRETS[ROGUE]):
            pass


async def test_nobody_logs_in_without_a_name(broker: ShippedBroker) -> None:
    for port in (broker.device_port, broker.service_port):
        with pytest.raises(aiomqtt.MqttError):
            async with broker.client(port):
                pass


async def test_its_last_will_is_no_way_to_write_anothers_topics(broker: ShippedBroker, core: Client) -> None:
    will = Will(f"{ROOT}/{VICTIM}/state", b"forged", qos=1, retain=True)
    with contextlib.suppress(MqttError):
        async with broker.device(ROGUE, SECRETS[ROGUE], will=will) as rogue:
            rogue._client._sock_close()
    async with broker.device(ROGUE, SECRETS[ROGUE]) as again:
        await again.publish(f"{ROOT}/{ROGUE}/card", b"its own", qos=1)

    assert await next_payload(core) == b"its own"


@pytest.mark.parametrize("protocol", [ProtocolVersion.V5, ProtocolVersion.V311], ids=["5", "3.1.1"])
async def test_a_packet_above_the_limit_ends_its_connection_and_reaches_nobody(
    broker: ShippedBroker, core: Client, protocol: ProtocolVersion
) -> None:
    with pytest.raises(MqttError):  # noqa: PT012 - the end of the connection may come at either line
        async with broker.device(ROGUE, SECRETS[ROGUE], protocol=protocol) as rogue:
            send_whatever_the_broker_allows(rogue, f"{ROOT}/{ROGUE}/card", b"x" * OVERSIZE_BYTES)
            async with asyncio.timeout(PATIENCE_S):
                await anext(rogue.messages)
    async with broker.device(ROGUE, SECRETS[ROGUE]) as again:
        await again.publish(f"{ROOT}/{ROGUE}/card", b"small", qos=1)

    assert await next_payload(core) == b"small"


async def test_it_steals_nothing_from_the_cores_workers_while_their_group_has_a_secret_name(broker: ShippedBroker) -> None:
    group = (broker.secrets / "share_group").read_text()
    async with broker.service("core", client_id="core-1") as core, broker.device(ROGUE, SECRETS[ROGUE]) as rogue:
        await core.subscribe(f"$share/{group}/{ROOT}/+/taps/+/card", qos=1)
        for guess in ("tapwire", "core", "share_group"):
            await rogue.subscribe(f"$share/{guess}/{ROOT}/+/taps/+/card", qos=1)
        sent = [str(number).encode() for number in range(6)]
        async with broker.device(VICTIM, SECRETS[VICTIM]) as victim:
            for payload in sent:
                await victim.publish(f"{ROOT}/{VICTIM}/card", payload, qos=1)

            assert [await next_payload(core) for _ in sent] == sent


async def test_an_operator_reads_everything_and_writes_nothing(broker: ShippedBroker, core: Client) -> None:
    async with broker.service("operator") as operator, broker.service("admin") as admin:
        for account in (operator, admin):
            await account.publish(f"{ROOT}/{VICTIM}/command", b"open the valve", qos=1)
            await account.publish(f"{ROOT}/{VICTIM}/card", b"a card", qos=1)
    async with broker.device(VICTIM, SECRETS[VICTIM]) as victim:
        await victim.publish(f"{ROOT}/{VICTIM}/card", b"the tap's own", qos=1)

    assert await next_payload(core) == b"the tap's own"


async def test_a_device_with_a_certificate_is_who_its_certificate_says(tmp_path: Path) -> None:
    require_mosquitto()
    async with shipped_broker(tmp_path / "broker", "certificates") as broker, broker.service("core") as core:
        for path in (VICTIM, ROGUE):
            run("certificates.sh", broker.folder, "device", path)
        await core.subscribe(f"{ROOT}/+/taps/+/#", qos=1)

        async with broker.device(VICTIM, certificate=ROGUE, client_id=VICTIM) as rogue:
            await rogue.publish(f"{ROOT}/{VICTIM}/card", b"forged", qos=1)
            await rogue.publish(f"{ROOT}/{ROGUE}/card", b"its own", qos=1)
        async with broker.device(VICTIM, certificate=VICTIM) as victim:
            await victim.publish(f"{ROOT}/{VICTIM}/card", b"good", qos=1)
        with pytest.raises(MqttError):
            async with broker.device(VICTIM, SECRETS[VICTIM], timeout_s=REFUSED_S):
                pass

        assert [await next_payload(core), await next_payload(core)] == [b"its own", b"good"]


async def test_a_revoked_certificate_is_refused_from_the_next_start_on(tmp_path: Path) -> None:
    require_mosquitto()
    run("certificates.sh", tmp_path / "broker", "device", ROGUE)
    run("certificates.sh", tmp_path / "broker", "revoke", ROGUE)
    async with shipped_broker(tmp_path / "broker", "certificates") as broker:
        with pytest.raises(MqttError):
            async with broker.device(ROGUE, certificate=ROGUE, timeout_s=REFUSED_S) as rogue:
                await rogue.publish(f"{ROOT}/{ROGUE}/card", b"still here", qos=1)


async def until_let_in(broker: ShippedBroker, username: str) -> None:
    """Wait until the broker has read its files again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with broker.device(username, SECRETS[username]):
                    return
            except MqttError:
                await asyncio.sleep(0.05)


async def next_payload(client: Client) -> object:
    """The next message's payload."""
    async with asyncio.timeout(PATIENCE_S):
        return (await anext(client.messages)).payload


def send_whatever_the_broker_allows(client: Client, topic: str, payload: bytes) -> None:
    """Publish past the client library's own check of the broker's limit."""
    inner: paho.Client = client._client
    inner._send_publish(1, topic.encode(), payload)
