"""What the console shows live: one read-only subscription to the broker, fanned out to whoever listens.

Live values have no ids and are not kept: a listener gets the newest of each when it comes and then each newer one, and one that
reads slowly gets only the newest. Facts are another matter; they come from the database (`routes.events`).
"""

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import msgspec
from aiomqtt import Client, MqttError, ProtocolVersion

from tapwire_contracts.codec import Malformed, decode_from_device
from tapwire_contracts.messages import (
    CARD,
    PROGRESS,
    STATE,
    CardPresented,
    CardRemoved,
    Message,
    NodeState,
    PourProgress,
    ReaderCardPresented,
)
from tapwire_contracts.topics import ROOT, DevicePath

DEFAULT_PORT: Final = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_S: Final = 15
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 10.0
MAX_LISTENERS: Final = 100
"""Streams that one process serves at once."""
LEAVES: Final = (STATE.leaf, CARD.leaf, PROGRESS.leaf)

_log: Final = logging.getLogger("tapwire.admin.live")


class LiveKind(StrEnum):
    """What a live value is."""

    PROGRESS = "progress"
    CARD = "card"
    NODE = "node"


KIND_OF: Final[dict[type[Message], LiveKind]] = {
    PourProgress: LiveKind.PROGRESS,
    CardPresented: LiveKind.CARD,
    ReaderCardPresented: LiveKind.CARD,
    CardRemoved: LiveKind.CARD,
    NodeState: LiveKind.NODE,
}

Key = tuple[LiveKind, str]


@dataclass(eq=False)
class Listener:
    """One stream: what it has not been told yet, by kind and device."""

    waiting: dict[Key, dict[str, Any]]
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, key: Key, value: dict[str, Any]) -> None:
        """Note a newer value, in place of one that was not told yet."""
        self.waiting[key] = value
        self.news.set()

    def take(self) -> list[tuple[LiveKind, dict[str, Any]]]:
        """All that was not told yet."""
        told = [(kind, value) for (kind, _), value in self.waiting.items()]
        self.waiting.clear()
        self.news.clear()
        return told


class Live:
    """The newest live values, and who listens to them."""

    def __init__(self) -> None:
        self._newest: Final[dict[Key, dict[str, Any]]] = {}
        self._listeners: Final[set[Listener]] = set()

    def is_full(self) -> bool:
        """Whether `MAX_LISTENERS` are served already."""
        return len(self._listeners) >= MAX_LISTENERS

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        """Listen while the block runs."""
        listener = Listener(dict(self._newest))
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)

    def hear(self, topic: str, payload: bytes) -> None:
        """A message from the broker. One that can't be read is the core's to keep; none, whatever it does, ends the listening."""
        try:
            self._note(*decode_from_device(topic, payload))
        except Malformed:
            return
        except Exception:
            _log.exception("could not show a message on %s", topic)

    def _note(self, path: DevicePath, message: Message) -> None:
        kind = KIND_OF.get(type(message))
        if kind is None:
            return
        key = (kind, str(path))
        self._newest[key] = {"path": str(path), **msgspec.to_builtins(message)}
        for listener in self._listeners:
            listener.tell(key, self._newest[key])

    async def follow(self, broker_url: str, protocol: str, ca_file: Path | None = None) -> None:
        """Subscribe and hear, again and again, until cancelled."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                async with _client(broker_url, protocol, ca_file) as client:
                    for leaf in LEAVES:
                        await client.subscribe(f"{ROOT}/+/+/+/{leaf}")
                    wait_s = FIRST_WAIT_S
                    async for message in client.messages:
                        if isinstance(message.payload, bytes):
                            self.hear(str(message.topic), message.payload)
            except MqttError as error:
                _log.warning("no live values, the broker is away: %s", error)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311  jitter, no secret
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _client(broker_url: str, protocol: str, ca_file: Path | None) -> Client:
    parts = urlsplit(broker_url)
    return Client(
        hostname=parts.hostname or "127.0.0.1",
        port=parts.port or DEFAULT_PORT[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        identifier=f"admin-{uuid4().hex[:16]}",
        protocol=ProtocolVersion.V5 if protocol == "5" else ProtocolVersion.V311,
        clean_session=None if protocol == "5" else True,
        keepalive=KEEPALIVE_S,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        tls_context=ssl.create_default_context(cafile=ca_file) if parts.scheme == "mqtts" else None,
    )
