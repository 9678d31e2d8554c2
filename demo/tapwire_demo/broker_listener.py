"""The demo's own connection to the broker: the watcher's, which reads every topic and never publishes."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import aiomqtt

from tapwire_contracts.mqtt_clients import NO_DELAY
from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_demo.embedded_broker import Account, EmbeddedBroker

RECONNECT_S: Final = 0.5

_log: Final = logging.getLogger(__name__)


async def listen(broker: EmbeddedBroker, account: Account, hear: Callable[[str, bytes], None]) -> None:
    """Hand every message over, topic and payload; ends by cancellation only.

    Connects again when the broker was away, and goes on after a message that `hear` fails on.
    """
    while True:
        try:
            async with Client(
                broker.host,
                broker.port,
                username=account.username,
                password=account.password,
                protocol=aiomqtt.ProtocolVersion.V311,  # every broker of ours speaks it
                socket_options=NO_DELAY,
            ) as client:
                await client.subscribe(f"{ROOT}/#", qos=1)
                async for message in client.messages:
                    _hand_over(hear, message)
        except aiomqtt.MqttError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # a connection that breaks while we are cancelled hides that
                raise asyncio.CancelledError from None
            await asyncio.sleep(RECONNECT_S)


def _hand_over(hear: Callable[[str, bytes], None], message: aiomqtt.Message) -> None:
    try:
        hear(message.topic.value, bytes(message.payload))
    except Exception:
        _log.exception("could not tell of a message on %s", message.topic)
