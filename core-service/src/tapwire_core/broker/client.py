"""The broker's client, made from its URL: for core workers, and for the admin API's read-only subscription."""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import aiomqtt
from aiomqtt import Message, MqttError, ProtocolVersion, Will

from tapwire_contracts.broker_addresses import keepalive_s, parse_broker_url, port_of, socket_options
from tapwire_contracts.mqtt_clients import LooksInTime, WritesToOpenSockets, refused_filters
from tapwire_core.settings import MQTT_5

KEEPALIVE_S: Final = 15
TIMEOUT_S: Final = 10.0
TIMEOUT_BESIDE_OTHERS_S: Final = 4.0
"""Longest duration of connecting, subscribing or one publish; shorter where another address may answer."""


Receive = Callable[[str, bytes], object]
"""Callback for a message's topic and payload, called in order of arrival. A message that makes it raise is logged and lost."""

log: Final = logging.getLogger(__name__)


class Client(LooksInTime, WritesToOpenSockets, aiomqtt.Client):
    """One connection to a broker."""


def now_ms() -> int:
    """The monotonic clock, for how long a broker is silent or takes nothing."""
    return time.monotonic_ns() // 1_000_000


def new_client_id() -> str:
    """A random client id of 22 hex digits: MQTT 3.1.1 promises no broker that takes longer ones.

    A broker ends the connection whose id another client uses. So the id of a service must not be guessed, and is never published.
    """
    return secrets.token_hex(11)


def make_client(
    url: str,
    protocol: str,
    *,
    client_id: str | None = None,
    will: Will | None = None,
    ca_file: Path | None = None,
    receive: Receive | None = None,
    has_others: bool = False,
) -> Client:
    """Make a client for one connection to `mqtt://user:secret@host:port`, or `mqtts://…` with TLS and a check of the host's name.

    `client_id`: an id of `new_client_id` that stays the same over reconnects, so that an old connection's will comes before the new
    connection speaks; without it, a new one. `ca_file` is the trusted authority for `mqtts://`; without it, the machine's own are
    trusted. With `receive`, each message is handed to it as it is read, and the caller waits with `until_lost`; without it,
    messages are in `messages`.

    With `has_others` the broker has other addresses, so that one that no longer answers is left soon.

    `protocol` is `5` or `3.1.1`. The session is clean: messages of an old session are stale.
    """
    parts = parse_broker_url(url)
    return Client(
        hostname=parts.hostname or "",
        port=port_of(parts),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        identifier=client_id or new_client_id(),
        protocol=ProtocolVersion.V5 if protocol == MQTT_5 else ProtocolVersion.V311,
        will=will,
        clean_session=None if protocol == MQTT_5 else True,
        keepalive=keepalive_s(KEEPALIVE_S, has_others=has_others),
        socket_options=socket_options(has_others=has_others),
        timeout=TIMEOUT_BESIDE_OTHERS_S if has_others else TIMEOUT_S,
        tls_context=ssl.create_default_context(cafile=ca_file) if parts.scheme == "mqtts" else None,
        queue_type=None if receive is None else _handing_over_to(receive),
    )


async def subscribe(client: Client, filters: Sequence[tuple[str, int]]) -> None:
    """Subscribe to these topics, each with its QoS; raises `aiomqtt.MqttError` when the broker refuses one."""
    if refused := refused_filters(filters, await client.subscribe(list(filters))):
        raise MqttError(f"the broker refuses a subscription to {', '.join(refused)}: check its access rules for our account")


async def until_lost(client: Client) -> None:
    """Wait until the connection is lost, which raises `aiomqtt.MqttError`."""
    async for message in client.messages:
        raise AssertionError(f"the message on {message.topic} was not handed over")


def _handing_over_to(receive: Receive) -> type[asyncio.Queue[Message]]:
    """A queue that keeps nothing: aiomqtt would start a task for each queued message, which costs more than reading it."""

    class HandingOver(asyncio.Queue[Message]):
        def put_nowait(self, message: Message) -> None:
            topic = message.topic.value
            try:
                assert isinstance(message.payload, bytes)
                receive(topic, message.payload)
            except Exception:
                # if this raised, paho would read the same packet for ever
                log.exception("could not take a message on %s", topic)

    return HandingOver
