"""A tap as a program from outside would write one: a plain MQTT client that knows the contract alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiomqtt import ProtocolVersion, Will

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import Message
from tapwire_contracts.mqtt_clients import NO_DELAY
from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_demo.broker import EmbeddedBroker

ANSWER_TIMEOUT_S = 10.0


class MqttTap:
    """A connected tap: publishes payloads and waits for commands."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self.commands: list[dict[str, Any]] = []
        self.configs: list[dict[str, Any]] = []
        self.cores: dict[str, bytes] = {}
        self._news = asyncio.Condition()

    async def send(self, leaf: str, payload: Message | Mapping[str, Any] | bytes, *, retain: bool = False) -> None:
        """Publish on one of the tap's own topics."""
        match payload:
            case bytes():
                content = payload
            case Message():
                content = encode(payload)
            case _:
                content = json.dumps(payload).encode()
        await self._client.publish(f"{ROOT}/{self._path}/{leaf}", content, qos=1, retain=retain)

    async def command(self, kind: str, *, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th command of a type."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S), self._news:
            await self._news.wait_for(lambda: len(self._of(kind)) >= count)
        return self._of(kind)[count - 1]

    async def core(self, at_least: int = 1) -> None:
        """Wait until this many core workers show their presence."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S), self._news:
            await self._news.wait_for(lambda: sum(map(bool, self.cores.values())) >= at_least)

    async def no_core(self) -> None:
        """Wait until no core worker shows its presence."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S), self._news:
            await self._news.wait_for(lambda: not any(self.cores.values()))

    async def config(self, **expected: object) -> dict[str, Any]:
        """Wait for a config with these values."""

        def fits() -> bool:
            return bool(self.configs) and expected.items() <= self.configs[-1].items()

        async with asyncio.timeout(ANSWER_TIMEOUT_S), self._news:
            await self._news.wait_for(fits)
        return self.configs[-1]

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [command for command in self.commands if command["type"] == kind]

    async def hear(self) -> None:
        """Sort what comes until the connection ends."""
        async for message in self._client.messages:
            topic, payload = str(message.topic), message.payload
            assert isinstance(payload, bytes)
            async with self._news:
                if topic.endswith("/command"):
                    assert not message.retain
                    self.commands.append(json.loads(payload))
                elif topic.endswith("/config"):
                    self.configs.append(json.loads(payload))
                else:
                    self.cores[topic] = payload
                self._news.notify_all()


def protocol_of(broker: EmbeddedBroker) -> ProtocolVersion:
    """The highest version that the broker speaks."""
    return ProtocolVersion.V5 if broker.protocol == "5" else ProtocolVersion.V311


@asynccontextmanager
async def connect_tap(broker: EmbeddedBroker, path: str, *, will: Message | None = None) -> AsyncIterator[MqttTap]:
    """Connect a tap with its own credentials."""
    account = broker.account(path)
    last_will = Will(f"{ROOT}/{path}/state", encode(will), qos=1, retain=True) if will else None
    async with Client(
        broker.host,
        broker.device_port,
        username=account.username,
        password=account.password,
        identifier=path,
        will=last_will,
        protocol=protocol_of(broker),
        socket_options=NO_DELAY,
    ) as client:
        tap = MqttTap(client, path)
        await client.subscribe([(f"{ROOT}/{path}/command", 1), (f"{ROOT}/{path}/config", 1), (f"{ROOT}/core/+/state", 1)])
        hearing = asyncio.create_task(tap.hear())
        try:
            yield tap
        finally:
            hearing.cancel()
