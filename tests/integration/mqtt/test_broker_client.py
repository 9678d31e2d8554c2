"""The client of core and admin API: what it hears is handed over, what is refused to it is said."""

import asyncio
import secrets
import socket

import pytest
from aiomqtt import MqttError

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.broker_addresses import KEEPALIVE_BESIDE_OTHERS_S
from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import make_client, subscribe, until_lost
from tapwire_demo.broker import Account, EmbeddedBroker

LEFT = "bar/taps/left"
SOON_S = 10.0


async def test_a_message_that_fails_whoever_hears_it_is_noted_once_and_the_next_ones_are_heard(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    heard = asyncio.Queue[bytes]()

    def receive(_: str, payload: bytes) -> None:
        heard.put_nowait(payload)
        if payload == b"bad":
            raise ZeroDivisionError

    topic = f"{ROOT}/{LEFT}/command"
    async with (
        asyncio.timeout(SOON_S),
        make_client(broker.url("watcher"), broker.protocol, receive=receive) as watcher,
        make_client(broker.url("core"), broker.protocol) as core,
    ):
        await subscribe(watcher, [(topic, 1)])
        lost = asyncio.create_task(until_lost(watcher))
        for payload in (b"good", b"bad", b"good"):
            await core.publish(topic, payload, qos=1)
        assert [await heard.get() for _ in range(3)] == [b"good", b"bad", b"good"]
        assert heard.empty()
        assert not lost.done()
        lost.cancel()
    assert caplog.text.count(f"could not take a message on {topic}") == 1


async def test_a_subscription_that_the_broker_refuses_is_an_error(amqtt: EmbeddedBroker) -> None:
    await amqtt.add_account(Account(LEFT, secrets.token_urlsafe(), BrokerRole.DEVICE))
    ours, anothers = f"{ROOT}/{LEFT}/command", f"{ROOT}/bar/taps/right/command"

    async with make_client(amqtt.url(LEFT), amqtt.protocol, client_id=LEFT, receive=print) as client:
        await subscribe(client, [(ours, 1)])
        with pytest.raises(MqttError, match=f"refuses a subscription to {anothers}"):
            await subscribe(client, [(ours, 1), (anothers, 1)])


@pytest.mark.parametrize(("has_others", "looks"), [(False, range(1, 3)), (True, range(3, 9))])
async def test_a_short_keepalive_is_looked_after_several_times_while_it_lasts(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, has_others: bool, looks: range
) -> None:
    looked = 0
    async with make_client(broker.url("core"), broker.protocol, has_others=has_others) as client:
        look = client._client.loop_misc

        def count() -> int:
            nonlocal looked
            looked += 1
            return int(look())

        monkeypatch.setattr(client._client, "loop_misc", count)
        await asyncio.sleep(KEEPALIVE_BESIDE_OTHERS_S / 2 + 0.1)
    assert looked in looks


async def test_a_connection_lost_while_it_writes_disturbs_none_that_gets_its_number(broker: EmbeddedBroker) -> None:
    client = make_client(broker.url("core"), broker.protocol)
    await client.__aenter__()
    paho = client._client
    lost = paho.socket()
    assert lost is not None
    number = lost.fileno()

    paho.publish(f"{ROOT}/{LEFT}/command", b"", qos=1)
    paho._sock_close()  # as it does when it reads the end of the connection in the same round of the loop
    with socket.socket() as another:
        assert another.fileno() == number
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not asyncio.get_running_loop().remove_writer(number)
