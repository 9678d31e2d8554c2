"""One way to make a client of the broker, from its URL: for core workers, and for the admin API's read-only subscription."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from aiomqtt import Client, Message, MqttError, ProtocolVersion, Will

from tapwire_contracts.mqtt_clients import NO_DELAY, refused_filters

DEFAULT_PORT: Final = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_S: Final = 15
MQTT_5: Final = "5"


Receive = Callable[[str, bytes], object]
"""Is told a message's topic and payload, in the order in which they come. A message that makes it raise is logged, and lost."""

log: Final = logging.getLogger(__name__)


def make_client(
    url: str, protocol: str, identifier: str, will: Will | None = None, ca_file: Path | None = None, receive: Receive | None = None
) -> Client:
    """A client for one connection to `mqtt://user:secret@host:port`, or `mqtts://…` with TLS.

    `ca_file` is whom to trust for `mqtts://`; without it, whom this machine trusts. With `receive`, messages are handed to it as
    they are read, and `until_lost` is what to wait for; without it, they are in `messages`.

    `protocol` is `5` or `3.1.1`. The session is clean, as no message of an old one is worth anything.
    """
    parts = urlsplit(url)
    return Client(
        hostname=parts.hostname or "127.0.0.1",
        port=parts.port or DEFAULT_PORT[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        identifier=identifier,
        protocol=ProtocolVersion.V5 if protocol == MQTT_5 else ProtocolVersion.V311,
        will=will,
        clean_session=None if protocol == MQTT_5 else True,
        keepalive=KEEPALIVE_S,
        socket_options=NO_DELAY,
        tls_context=ssl.create_default_context(cafile=ca_file) if parts.scheme == "mqtts" else None,
        queue_type=None if receive is None else _handing_over_to(receive),
    )


async def subscribe(client: Client, filters: Sequence[tuple[str, int]]) -> None:
    """Hear these topics, each with its QoS; raises `aiomqtt.MqttError` when the broker refuses one."""
    if refused := refused_filters(filters, await client.subscribe(list(filters))):
        raise MqttError(f"the broker refuses a subscription to {', '.join(refused)}: look at its rules for our account")


async def until_lost(client: Client) -> None:
    """Wait until the connection is lost, which raises `aiomqtt.MqttError`."""
    async for message in client.messages:
        raise AssertionError(f"the message on {message.topic} was not handed over")


def _handing_over_to(receive: Receive) -> type[asyncio.Queue[Message]]:
    """A queue that keeps nothing: aiomqtt makes a task for each message that is taken from one, at more cost than reading it."""

    class HandingOver(asyncio.Queue[Message]):
        def put_nowait(self, message: Message) -> None:
            topic = message.topic.value
            try:
                assert isinstance(message.payload, bytes)
                receive(topic, message.payload)
            except Exception:
                # paho would read the same packet for ever
                log.exception("could not take a message on %s", topic)

    return HandingOver
