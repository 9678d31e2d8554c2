"""Live values: one read-only subscription to the broker, fanned out to all listeners of this process.

Live values have no ids and are not stored. A new listener gets the newest value of each kind and device, then each newer one; a
slow listener gets only the newest. Facts with ids come from the database (`routes/event_stream.py`).

Nodes and core workers that promise heartbeats are offline once they missed three, be it that a broker publishes no will for them.

The card on a reader follows from its latest message, be it a card's or a state: a reader that is offline has none, nor has any
while the broker is unreachable. A state that is older than the newest one changes nothing (SYSTEM.md, "A device's latest state").

Besides devices' messages, the console gets the presence of core workers, and taps' screens get the core's answers to their tap.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import SystemRandom
from typing import Any, Final, Never

import msgspec
from aiomqtt import MqttError
from msgspec import Struct

from tapwire_contracts.broker_addresses import Attempts, host_of, split_broker_urls
from tapwire_contracts.codec import Malformed, decode, decode_from_device
from tapwire_contracts.core_watch import CoreWatch
from tapwire_contracts.messages import (
    CARD,
    COMMAND,
    MISSED_HEARTBEATS,
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
from tapwire_contracts.mqtt_clients import was_closed
from tapwire_contracts.reasons import Phase, Presence, ValveState
from tapwire_contracts.tasks import run_together
from tapwire_contracts.topics import ROOT, DevicePath, InvalidTopic, core_state_topic, parse_device_topic
from tapwire_core.broker.client import Client, make_client, now_ms, subscribe, until_lost
from tapwire_core.domain.venue_scope import VenueScope

FIRST_RETRY_MS: Final = 500
MAX_RETRY_MS: Final = 10_000
SILENCE_CHECK_S: Final = 0.5
"""Interval of looking for missed heartbeats."""
_CORE_TOPICS: Final = f"{ROOT}/core/"
MAX_EARLIER_BOOTS: Final = 8
"""Maximum number of superseded boots kept of a device."""
LEAVES: Final = (STATE.leaf, CARD.leaf, PROGRESS.leaf, COMMAND.leaf)

_log: Final = logging.getLogger("tapwire.admin.live")


class LiveKind(StrEnum):
    """Kinds of live values."""

    PROGRESS = "progress"
    CARD = "card"
    NODE = "node"
    ANSWER = "answer"
    """The core's answer to a tap: a grant, a denial, a verdict. For that tap's own screen."""
    LINK = "link"
    """The broker's connection and the number of core workers. For the console's status bar."""


GONE: Final[dict[str, Any]] = {
    "status": Presence.OFFLINE.value,
    "phase": Phase.OUT_OF_SERVICE.value,
    "valve": ValveState.CLOSED.value,
    "card": None,
    "pour_id": None,
}
"""What a will says of a node, for one that is offline by its silence."""
STREAMED: Final = frozenset({LiveKind.PROGRESS, LiveKind.CARD, LiveKind.NODE})
"""Kinds that `GET /api/events` streams."""
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
    """One stream's unsent values, by kind and device; only of its `kinds`, and of devices in its `scope`."""

    scope: VenueScope
    kinds: frozenset[LiveKind] = STREAMED
    pending: dict[Key, dict[str, Any]] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, key: Key, value: dict[str, Any]) -> None:
        """Add a value; it replaces an older one that was not taken yet."""
        kind, path = key
        if kind not in self.kinds or (kind is not LiveKind.LINK and not self.scope.sees_device(path)):
            return
        self.pending[key] = value
        self.ready.set()

    def take(self) -> list[tuple[LiveKind, dict[str, Any]]]:
        """Remove and return all values that were not taken yet."""
        values = [(kind, value) for (kind, _), value in self.pending.items()]
        self.pending.clear()
        self.ready.clear()
        return values


class BrokerStatus(Struct, frozen=True, kw_only=True):
    """This process's connection to the broker, and the core workers present there."""

    connected: bool
    core_workers: list[CoreState]


class Live:
    """The newest live values and their listeners."""

    def __init__(self) -> None:
        self._newest: Final[dict[Key, dict[str, Any]]] = {}
        self._listeners: Final[set[Listener]] = set()
        self._workers: Final[dict[str, CoreState]] = {}
        self._silent_from_s: Final[dict[str, float]] = {}
        """When a device (by path) or core worker (by id) that promises heartbeats counts as offline, by the monotonic clock."""
        self._last_words: Final[dict[str, dict[str, Any]]] = {}
        """The last states of devices that are offline by their silence alone."""
        self._cards: Final[dict[str, str | None]] = {}
        self._earlier_boots: Final[dict[str, dict[str, int]]] = {}
        self._connected = False

    def cards(self, scope: VenueScope) -> Mapping[str, str | None]:
        """The cards on readers in the scope, by path; None for a reader without one."""
        return {path: card_uid for path, card_uid in self._cards.items() if scope.sees_device(path)}

    def is_online(self, path: str) -> bool:
        """True if the device's newest state says so, and the broker is there to tell otherwise."""
        state = self.newest(LiveKind.NODE, path)
        return self._connected and state is not None and state["status"] == Presence.ONLINE

    @property
    def link(self) -> dict[str, Any]:
        """State of the connection: `broker` is connected or not, `cores` counts core workers."""
        return {"broker": self._connected, "cores": len(self._workers)}

    def newest(self, kind: LiveKind, path: str) -> dict[str, Any] | None:
        """The newest value of a device, or None."""
        return self._newest.get((kind, path))

    @contextmanager
    def listen(self, scope: VenueScope, kinds: frozenset[LiveKind] = STREAMED) -> Iterator[Listener]:
        """Listen to devices in the scope while the block runs."""
        listener = Listener(scope, kinds)
        for key, value in self._newest.items():
            listener.put(key, value)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a message from the broker; ignore one that can't be read, since the core keeps it as a dead letter."""
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
        value = {"path": str(path), **msgspec.to_builtins(message)}
        if isinstance(message, NodeState):
            if self._is_older(value):
                return
            self._note_boot(value)
            self._last_words.pop(str(path), None)
            if value != self.newest(LiveKind.NODE, str(path)):  # a broker repeats what it has retained: no sign of life
                self._expect_heartbeat(str(path), message.heartbeat_ms if message.status is Presence.ONLINE else None)
            self._set_card(str(path), message.card.card_uid if message.card and message.status is Presence.ONLINE else None)
        elif isinstance(message, CardPresented | ReaderCardPresented):
            self._cards[str(path)] = message.card_uid
        elif isinstance(message, CardRemoved):
            self._cards[str(path)] = None
        self._publish((kind, str(path)), value)

    def _is_older(self, state: dict[str, Any]) -> bool:
        """True for a state that the newest one has overtaken."""
        last_word = self._last_words.get(state["path"])
        newest = last_word or self.newest(LiveKind.NODE, state["path"])
        if newest is None:
            return False
        if state == last_word:
            return True
        if newest["boot_id"] == state["boot_id"]:
            return _age_of(state) < _age_of(newest)
        ended = self._earlier_boots.get(state["path"], {}).get(state["boot_id"], -1)
        return bool(state["status"] != Presence.ONLINE or state["connection"] <= ended)

    def _note_boot(self, state: dict[str, Any]) -> None:
        """Record that a new boot supersedes the newest one."""
        newest = self.newest(LiveKind.NODE, state["path"])
        if newest is None or newest["boot_id"] == state["boot_id"]:
            return
        earlier = self._earlier_boots.setdefault(state["path"], {})
        earlier.pop(state["boot_id"], None)
        earlier[newest["boot_id"]] = newest["connection"]
        if len(earlier) > MAX_EARLIER_BOOTS:
            del earlier[next(iter(earlier))]

    def _expect_heartbeat(self, name: str, heartbeat_ms: int | None) -> None:
        self._silent_from_s.pop(name, None)
        if heartbeat_ms is not None:
            self._silent_from_s[name] = time.monotonic() + MISSED_HEARTBEATS * heartbeat_ms / 1000

    def forget_silent(self, now_s: float) -> None:
        """Show devices and core workers as offline that have missed their heartbeats at this moment of the monotonic clock."""
        for name in [name for name, from_s in self._silent_from_s.items() if now_s >= from_s]:
            del self._silent_from_s[name]
            if self._workers.pop(name, None) is not None:
                self._publish_link()
            elif (state := self.newest(LiveKind.NODE, name)) is not None:
                self._last_words[name] = state
                self._set_card(name, None)
                self._publish((LiveKind.NODE, name), {**state, **GONE})

    def _set_card(self, path: str, card_uid: str | None) -> None:
        """Record the card that a state names; without one, no new listener gets the message of an earlier card."""
        self._cards[path] = card_uid
        if card_uid is None:
            self._newest.pop((LiveKind.CARD, path), None)

    def _publish_link(self) -> None:
        self._publish((LiveKind.LINK, ""), self.link)

    def _publish(self, key: Key, value: dict[str, Any]) -> None:
        self._newest[key] = value
        for listener in self._listeners:
            listener.put(key, value)

    def read_broker(self) -> BrokerStatus:
        """The broker's connection and the core workers, by name."""
        return BrokerStatus(connected=self._connected, core_workers=[self._workers[name] for name in sorted(self._workers)])

    def receive_presence(self, instance_id: str, payload: bytes) -> None:
        """Record a core worker's presence; an empty payload ends it."""
        try:
            state = self._workers[instance_id] = msgspec.json.decode(payload, type=CoreState)
            self._expect_heartbeat(instance_id, state.heartbeat_ms)
        except msgspec.DecodeError:
            self._workers.pop(instance_id, None)
            self._silent_from_s.pop(instance_id, None)
        self._publish_link()

    async def follow(self, broker_url: str, protocol: str, ca_file: Path | None = None) -> None:
        """Stay subscribed until cancelled; reconnect with backoff, to the next address if there are several."""
        urls = split_broker_urls(broker_url)
        attempts, watch = Attempts(len(urls), FIRST_RETRY_MS, MAX_RETRY_MS, SystemRandom()), CoreWatch(len(urls))
        while True:
            url, connected, closed = urls[attempts.address], False, False
            try:
                async with make_client(
                    url, protocol, ca_file=ca_file, receive=self.receive, has_others=attempts.has_others
                ) as client:
                    connected = True
                    await self._listen_until_lost(client, watch)
            except MqttError as error:
                _log.warning("no live values from the broker %s: %s", host_of(url), error)
                closed = was_closed(error)
            await asyncio.sleep(attempts.turn(held=connected, closed=closed) / 1000)

    async def _listen_until_lost(self, client: Client, watch: CoreWatch) -> None:
        """Receive until the connection is lost; presence of core workers is forgotten with it and learned again."""
        self._set_connected(connected=True)
        watch.connected(now_ms())
        try:
            await subscribe(client, [(core_state_topic("+"), 0), *((f"{ROOT}/+/+/+/{leaf}", 0) for leaf in LEAVES)])
            await run_together(until_lost(client), self._watch_silence(watch))
        finally:
            self._set_connected(connected=False)

    async def _watch_silence(self, watch: CoreWatch) -> Never:
        """Look for missed heartbeats; leave an address without a core worker, where there are others: raises `MqttError`."""
        while True:
            await asyncio.sleep(SILENCE_CHECK_S)
            self.forget_silent(time.monotonic())
            for worker in self._workers.values():
                watch.heard(now_ms(), worker.heartbeat_ms)
            if (silence_ms := watch.overdue_ms(now_ms())) is not None:
                raise MqttError(f"no core worker was heard there for {silence_ms} ms, trying the next address")

    def _set_connected(self, *, connected: bool) -> None:
        self._connected = connected
        for instance_id in self._workers:
            self._silent_from_s.pop(instance_id, None)
        self._workers.clear()
        if connected:
            # while this process was away, nobody's heartbeats were missed
            for path in list(self._silent_from_s):
                self._expect_heartbeat(path, (self.newest(LiveKind.NODE, path) or {}).get("heartbeat_ms"))
        if not connected:
            for path in self._cards:
                self._set_card(path, None)
        self._publish_link()


def _age_of(state: dict[str, Any]) -> tuple[int, bool, int]:
    """Order of a boot's states: an `offline` ends its connection, whatever its uptime."""
    is_offline = state["status"] != Presence.ONLINE
    return state["connection"], is_offline, 0 if is_offline else state["uptime_ms"]


def _read(topic: str, payload: bytes) -> tuple[DevicePath, Message]:
    """Decode a message on a device's topic, from device or core; raises `Malformed` or `InvalidTopic`."""
    path, leaf = parse_device_topic(topic)
    return (path, decode(COMMAND, payload)) if leaf == COMMAND.leaf else decode_from_device(topic, payload)
