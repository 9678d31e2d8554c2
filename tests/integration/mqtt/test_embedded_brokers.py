"""The embedded brokers: whichever it is, everybody logs in and gets no more than the contract's rules allow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.topics import InvalidPath
from tapwire_core.broker.client import Client
from tapwire_core.services.devices import broker_hash
from tapwire_demo.broker import Account, BrokerKind, EmbeddedBroker, EmbeddedBrokerError, open_broker
from tests.mqtt_tap import protocol_of

ONE: Final = Account("bar/taps/one", "secret of one", BrokerRole.DEVICE)
TWO: Final = Account("bar/taps/two", "secret of two", BrokerRole.DEVICE)
PATIENCE_S: Final = 5.0


async def test_a_wrong_password_is_refused(broker: EmbeddedBroker) -> None:
    with pytest.raises(aiomqtt.MqttCodeError):
        async with connected_as(broker, Account("core", "guess", BrokerRole.CORE)):
            pass


async def test_nobody_connects_without_a_name(broker: EmbeddedBroker) -> None:
    with pytest.raises(aiomqtt.MqttCodeError):
        async with Client(broker.host, broker.port, protocol=protocol_of(broker), timeout=PATIENCE_S):
            pass


async def test_a_device_can_not_write_anothers_topics_nor_its_own_commands(broker: EmbeddedBroker) -> None:
    await broker.add_account(ONE)
    async with connected(broker, "watcher") as watcher, connected(broker, ONE.username) as device:
        await watcher.subscribe("tapwire/v1/#", qos=1)

        for topic in ("bar/taps/two/card", "bar/taps/one/command", "bar/taps/one/config", "core/a/state", "bar/taps/one/card"):
            await device.publish(f"tapwire/v1/{topic}", b"{}", qos=1)

        assert (await received(watcher)).topic.value == "tapwire/v1/bar/taps/one/card"


async def test_a_device_reads_its_own_commands_and_the_cores_state_only(broker: EmbeddedBroker) -> None:
    await broker.add_account(ONE)
    async with connected(broker, "core") as core, connected(broker, ONE.username) as device:
        for filter_ in ("bar/taps/two/command", "bar/taps/one/command", "core/+/state"):
            await device.subscribe(f"tapwire/v1/{filter_}", qos=1)

        for topic in ("bar/taps/two/command", "bar/taps/one/command", "core/a/state"):
            await core.publish(f"tapwire/v1/{topic}", b"{}", qos=1)

        assert (await received(device)).topic.value == "tapwire/v1/bar/taps/one/command"
        assert (await received(device)).topic.value == "tapwire/v1/core/a/state"


async def test_a_watcher_can_not_publish(broker: EmbeddedBroker) -> None:
    await broker.add_account(ONE)
    async with connected(broker, "watcher") as watcher, connected(broker, "core") as core:
        await watcher.subscribe("tapwire/v1/#", qos=1)

        await watcher.publish("tapwire/v1/bar/taps/one/command", b"from the watcher", qos=1)
        await core.publish("tapwire/v1/bar/taps/one/command", b"from the core", qos=1)

        assert (await received(watcher)).payload == b"from the core"


async def test_a_retained_message_reaches_who_comes_later_and_may_read_it(broker: EmbeddedBroker) -> None:
    for account in (ONE, TWO):
        await broker.add_account(account)
    async with connected(broker, "core") as core, connected(broker, "watcher") as watcher:
        await watcher.subscribe("tapwire/v1/#", qos=1)
        for account in (TWO, ONE):
            await core.publish(f"tapwire/v1/{account.username}/config", account.username, qos=1, retain=True)
            await received(watcher)

        async with connected(broker, ONE.username) as device:
            await device.subscribe(f"tapwire/v1/{ONE.username}/config", qos=1)
            message = await received(device)

    assert (message.payload, message.retain) == (ONE.username.encode(), True)


async def test_an_empty_retained_message_removes_what_was_kept(broker: EmbeddedBroker) -> None:
    async with connected(broker, "core") as core:
        await core.publish("tapwire/v1/core/gone/state", b"{}", qos=1, retain=True)
        await core.publish("tapwire/v1/core/gone/state", b"", qos=1, retain=True)
        await core.publish("tapwire/v1/core/here/state", b"{}", qos=1, retain=True)

        async with connected(broker, "watcher") as watcher:
            await watcher.subscribe("tapwire/v1/core/+/state", qos=1)
            assert (await received(watcher)).topic.value == "tapwire/v1/core/here/state"


async def test_a_new_password_replaces_the_old_one_and_ends_its_connection(broker: EmbeddedBroker) -> None:
    renewed = Account(ONE.username, "a new secret", BrokerRole.DEVICE)
    await broker.add_account(ONE)
    async with ending(broker, ONE):
        await broker.add_account(renewed)

    with pytest.raises(aiomqtt.MqttCodeError):
        async with connected_as(broker, ONE):
            pass
    async with connected_as(broker, renewed):
        pass


async def test_a_removed_account_is_thrown_out_and_stays_out(broker: EmbeddedBroker) -> None:
    await broker.add_account(ONE)
    async with ending(broker, ONE):
        await broker.remove_account(ONE.username)

    with pytest.raises(aiomqtt.MqttCodeError):
        async with connected_as(broker, ONE):
            pass


async def test_a_device_can_not_take_over_anothers_connection_by_its_client_id(broker: EmbeddedBroker) -> None:
    for account in (ONE, TWO):
        await broker.add_account(account)
    async with connected(broker, "watcher") as watcher, connected(broker, ONE.username) as device:
        await watcher.subscribe("tapwire/v1/#", qos=1)
        try:
            async with connected_as(broker, TWO, client_id=ONE.username):
                pass
        except aiomqtt.MqttCodeError:
            assert broker.kind is BrokerKind.AMQTT

        await device.publish(f"tapwire/v1/{ONE.username}/card", b"still here", qos=1)

        assert (await received(watcher)).payload == b"still here"


async def test_a_last_will_is_published_when_its_device_vanishes(broker: EmbeddedBroker) -> None:
    await broker.add_account(ONE)
    async with connected(broker, "watcher") as watcher:
        await watcher.subscribe("tapwire/v1/#", qos=1)

        await asyncio.to_thread(connect_and_vanish, broker, ONE, f"tapwire/v1/{ONE.username}/state")

        assert (await received(watcher)).payload == b"offline"


async def test_a_stopped_broker_starts_again_on_its_ports_with_its_accounts(broker: EmbeddedBroker) -> None:
    ports = (broker.port, broker.device_port)

    await broker.stop()
    with pytest.raises(aiomqtt.MqttError):
        async with connected(broker, "core"):
            pass
    await broker.start()

    assert (broker.port, broker.device_port) == ports
    async with connected(broker, "core"):
        pass


async def test_a_broker_stops_in_time_while_clients_are_connected(broker: EmbeddedBroker) -> None:
    await broker.add_account(ONE)
    async with ending(broker, ONE), asyncio.timeout(PATIENCE_S):
        await broker.stop()


async def test_amqtt_refuses_the_shared_subscription_that_it_would_not_serve(tmp_path: Path) -> None:
    async with (
        open_broker(BrokerKind.AMQTT, tmp_path, [Account("core", "secret", BrokerRole.CORE)]) as broker,
        connected(broker, "core") as core,
    ):
        (answer,) = await core.subscribe("$share/tapwire/tapwire/v1/+/taps/+/card", qos=1)

    assert isinstance(answer, ReasonCode)
    assert answer.is_failure


async def test_mosquitto_shares_a_subscription_among_core_workers(mosquitto: EmbeddedBroker) -> None:
    async with connected(mosquitto, "core") as worker, connected(mosquitto, "core") as other:
        for core in (worker, other):
            await core.subscribe("$share/tapwire/tapwire/v1/core/+/state", qos=1)
        for _ in range(4):
            await worker.publish("tapwire/v1/core/a/state", b"{}", qos=1)

        await asyncio.gather(received(worker), received(other))


@pytest.mark.parametrize("username", ["with space", "colon:", "line\nuser admin", "", "bar/taps/one"])
def test_a_service_account_of_an_impossible_name_is_refused(username: str) -> None:
    with pytest.raises(EmbeddedBrokerError, match="is no broker account"):
        Account(username, "secret", BrokerRole.WATCHER)


def test_a_device_account_is_named_by_its_path() -> None:
    with pytest.raises(InvalidPath):
        Account("one", "secret", BrokerRole.DEVICE)


@asynccontextmanager
async def connected_as(broker: EmbeddedBroker, account: Account, client_id: str | None = None) -> AsyncIterator[Client]:
    """A client that logs in so; a device's client id is its username, as the contract wants it."""
    is_device = account.role is BrokerRole.DEVICE
    async with Client(
        broker.host,
        broker.device_port if is_device else broker.port,
        username=account.username,
        password=account.password,
        identifier=client_id or (account.username if is_device else None),
        protocol=protocol_of(broker),
        timeout=PATIENCE_S,
    ) as client:
        yield client


@asynccontextmanager
async def connected(broker: EmbeddedBroker, username: str) -> AsyncIterator[Client]:
    """A client of an account that the broker knows."""
    async with connected_as(broker, broker.account(username)) as client:
        yield client


@asynccontextmanager
async def ending(broker: EmbeddedBroker, account: Account) -> AsyncIterator[None]:
    """A connection that the broker must have ended when the block is over."""
    with pytest.raises(aiomqtt.MqttError, match="Disconnected"):  # noqa: PT012 - the block is the caller's
        async with connected_as(broker, account) as client:
            yield
            await received(client)


def connect_and_vanish(broker: EmbeddedBroker, account: Account, will_topic: str) -> None:
    """A connection that ends as a power cut ends one: without a word."""
    version = paho.MQTTv5 if broker.protocol == "5" else paho.MQTTv311
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=account.username, protocol=version)
    client.username_pw_set(account.username, account.password)
    client.will_set(will_topic, b"offline", qos=1, retain=True)
    client.connect(broker.host, broker.device_port)
    while not client.is_connected():
        client.loop(timeout=PATIENCE_S)
    connection = client.socket()
    assert connection is not None
    connection.close()


async def received(client: Client) -> aiomqtt.Message:
    async with asyncio.timeout(PATIENCE_S):
        return await anext(client.messages)


async def test_devices_are_let_in_by_the_hashes_of_their_secrets_as_they_are_now(broker: EmbeddedBroker) -> None:
    await broker.add_account(Account("bar/taps/one", "first", BrokerRole.DEVICE))

    await broker.set_device_logins({"bar/taps/two": broker_hash("second")})

    assert await _lets_in(broker, "bar/taps/two", "second")
    assert not await _lets_in(broker, "bar/taps/two", "first")
    assert not await _lets_in(broker, "bar/taps/one", "first")
    assert await _lets_in(broker, "watcher", broker.account("watcher").password)


async def test_logins_that_change_while_a_broker_starts_again_are_good_once_it_has(broker: EmbeddedBroker) -> None:
    await broker.stop()
    starting = asyncio.create_task(broker.start())
    await asyncio.sleep(0)  # by now Mosquitto's files are written

    await broker.add_account(Account("late", "secret", BrokerRole.WATCHER))
    await broker.set_device_logins({"bar/taps/two": broker_hash("second")})
    await starting

    assert await _lets_in(broker, "bar/taps/two", "second")
    assert await _lets_in(broker, "late", "secret")


async def _lets_in(broker: EmbeddedBroker, username: str, password: str) -> bool:
    """Return whether a login is valid, once the broker has had time to read its files again."""
    await asyncio.sleep(0.3)
    try:
        async with Client(broker.host, broker.device_port, username=username, password=password, identifier=username):
            return True
    except aiomqtt.MqttError:
        return False
