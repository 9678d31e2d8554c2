"""What the console shows live: one read-only subscription to the broker, fanned out to whoever listens.

Live values have no ids and are not kept: a listener gets the newest of each when it comes and then each newer one, and one that
reads slowly gets only the newest. Facts are another matter; they come from the database (`routes.events`).

Beside what devices say, the console hears which core workers are there, and the taps' screens hear what the core answers their tap.
"""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
from aiomqtt import Client, MqttError
from msgspec import Struct

from tapwire_contracts.codec import Malformed, decode, decode_from_device
from tapwire_contracts.messages import (
    CARD,
    COMMAND,
    PROGRESS,
    STATE,
    CardPresented,
    CardRemoved,
    CoreState,
    Message,
    NodeState,
    PourAuthorized,
    PourDenied,
    PourProgress,
    PourSettled,
    ReaderCardPresented,
)
from tapwire_contracts.topics import ROOT, DevicePath, InvalidTopic, core_state_topic, parse_device_topic
from tapwire_core.broker.client import make_client, subscribe, until_lost

FIRST_RETRY_S: Final = 0.5
MAX_RETRY_S: Final = 10.0
MAX_LISTENERS: Final = 100
"""Streams that one process serves at once."""
_CORE_TOPICS: Final = f"{ROOT}/core/"
LEAVES: Final = (STATE.leaf, CARD.leaf, PROGRESS.leaf, COMMAND.leaf)

_log: Final = logging.getLogger("tapwire.admin.live")


class LiveKind(StrEnum):
    """What a live value is."""

    PROGRESS = "progress"
    CARD = "card"
    NODE = "node"
    ANSWER = "answer"
    """What the core told a tap: a grant, a denial, a verdict. For that tap's own screen."""
    LINK = "link"
    """Whether the broker is there, and how many core workers. For the console's status bar."""


STREAMED: Final = frozenset({LiveKind.PROGRESS, LiveKind.CARD, LiveKind.NODE})
"""What `GET /api/events` tells."""
KIND_OF: Final[dict[type[Message], LiveKind]] = {
    PourProgress: LiveKind.PROGRESS,
    CardPresented: LiveKind.CARD,
    ReaderCardPresented: LiveKind.CARD,
    CardRemoved: LiveKind.CARD,
    NodeState: LiveKind.NODE,
    PourAuthorized: LiveKind.ANSWER,
    PourDenied: LiveKind.ANSWER,
    PourSettled: LiveKind.ANSWER,
}

Key = tuple[LiveKind, str]


@dataclass(eq=False)
class Listener:
    """One stream: what it has not been told yet, by kind and device, of the kinds that it listens to."""

    pending: dict[Key, dict[str, Any]]
    kinds: frozenset[LiveKind] = STREAMED
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, key: Key, value: dict[str, Any]) -> None:
        """Note a newer value, in place of one that was not told yet."""
        if key[0] not in self.kinds:
            return
        self.pending[key] = value
        self.ready.set()

    def take(self) -> list[tuple[LiveKind, dict[str, Any]]]:
        """All that was not told yet."""
        values = [(kind, value) for (kind, _), value in self.pending.items()]
        self.pending.clear()
        self.ready.clear()
        return values


class BrokerStatus(Struct, frozen=True, kw_only=True):
    """Whether this process hears the broker now, and the core workers that show their presence there."""

    connected: bool
    core_workers: list[CoreState]


class Live:
    """The newest live values, and who listens to them."""

    def __init__(self) -> None:
        self._newest: Final[dict[Key, dict[str, Any]]] = {}
        self._listeners: Final[set[Listener]] = set()
        self._workers: Final[dict[str, CoreState]] = {}
        self._connected = False

    @property
    def link(self) -> dict[str, Any]:
        """Whether the broker is there, and how many core workers show themselves on it."""
        return {"broker": self._connected, "cores": len(self._workers)}

    def newest(self, kind: LiveKind, path: str) -> dict[str, Any] | None:
        """The newest value of a device."""
        return self._newest.get((kind, path))

    def is_full(self) -> bool:
        """Whether `MAX_LISTENERS` are served already."""
        return len(self._listeners) >= MAX_LISTENERS

    @contextmanager
    def listen(self, kinds: frozenset[LiveKind] = STREAMED) -> Iterator[Listener]:
        """Listen while the block runs."""
        listener = Listener({key: value for key, value in self._newest.items() if key[0] in kinds}, kinds)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)

    def receive(self, topic: str, payload: bytes) -> None:
        """A message from the broker. One that can't be read is the core's to keep."""
        try:
            if topic.startswith(_CORE_TOPICS):
                self.receive_presence(topic.removeprefix(_CORE_TOPICS).partition("/")[0], payload)
            else:
                self._publish_device_value(*_read(topic, payload))
        except (Malformed, InvalidTopic):
            return

    def _publish_device_value(self, path: DevicePath, message: Message) -> None:
        kind = KIND_OF.get(type(message))
        if kind is None:
            return
        self._publish((kind, str(path)), {"path": str(path), **msgspec.to_builtins(message)})

    def _publish_link(self) -> None:
        self._publish((LiveKind.LINK, ""), self.link)

    def _publish(self, key: Key, value: dict[str, Any]) -> None:
        self._newest[key] = value
        for listener in self._listeners:
            listener.put(key, value)

    def read_broker(self) -> BrokerStatus:
        """How the broker is, and which core workers it knows of."""
        return BrokerStatus(connected=self._connected, core_workers=[self._workers[name] for name in sorted(self._workers)])

    def receive_presence(self, instance_id: str, payload: bytes) -> None:
        """A core worker shows its presence, or with an empty payload is gone."""
        try:
            self._workers[instance_id] = msgspec.json.decode(payload, type=CoreState)
        except msgspec.DecodeError:
            self._workers.pop(instance_id, None)
        self._publish_link()

    async def follow(self, broker_url: str, protocol: str, ca_file: Path | None = None) -> None:
        """Subscribe and hear, again and again, until cancelled."""
        wait_s = FIRST_RETRY_S
        while True:
            try:
                name = f"admin-{uuid4().hex[:16]}"
                async with make_client(broker_url, protocol, name, ca_file=ca_file, receive=self.receive) as client:
                    wait_s = FIRST_RETRY_S
                    await self._listen_until_lost(client)
            except MqttError as error:
                _log.warning("no live values, the broker is away: %s", error)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311  jitter, no secret
            wait_s = min(wait_s * 2, MAX_RETRY_S)

    async def _listen_until_lost(self, client: Client) -> None:
        """Hear until the connection ends; what is known of core workers ends with it, and is heard anew."""
        self._set_connected(connected=True)
        try:
            await subscribe(client, [(core_state_topic("+"), 0), *((f"{ROOT}/+/+/+/{leaf}", 0) for leaf in LEAVES)])
            await until_lost(client)
        finally:
            self._set_connected(connected=False)

    def _set_connected(self, *, connected: bool) -> None:
        self._connected = connected
        self._workers.clear()
        self._publish_link()


def _read(topic: str, payload: bytes) -> tuple[DevicePath, Message]:
    """A message on a device's topic, whoever sent it; raises `Malformed` or `InvalidTopic`."""
    path, leaf = parse_device_topic(topic)
    return (path, decode(COMMAND, payload)) if leaf == COMMAND.leaf else decode_from_device(topic, payload)
