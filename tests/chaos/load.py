"""Taps that ask and report as fast as they are told to, over MQTT: for too much load, and for how fast others are served."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import Message
from tapwire_contracts.mqtt_clients import NO_DELAY
from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tests.chaos.site import Site, Stranger
from tests.venue import SimulatedTap

REPEAT_S: Final = 1.0
POUR_ML: Final = 10
ANSWERS: Final = {"pour_authorized": "request_id", "pour_denied": "request_id", "pour_settled": "pour_id"}
"""The types that answer, and the name of what they answer."""


@dataclass
class LoadTap:
    """A connected tap. `answers` has all that it was answered, by question or pour; `waits_s` how long each answer took."""

    stranger: Stranger
    client: Client
    node: SimulatedTap
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    waits_s: list[float] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @classmethod
    @asynccontextmanager
    async def connected(cls, site: Site, stranger: Stranger) -> AsyncIterator["LoadTap"]:
        """Connect with the tap's account."""
        account = site.broker.account(str(stranger.path))
        async with Client(
            site.broker.host,
            site.broker.device_port,
            username=account.username,
            password=account.password,
            identifier=account.username,
            socket_options=NO_DELAY,
        ) as client:
            await client.subscribe(f"{ROOT}/{stranger.path}/command", qos=1)
            tap = cls(stranger, client, SimulatedTap(stranger.path))
            hearing = asyncio.create_task(tap._hear())
            try:
                yield tap
            finally:
                hearing.cancel()

    async def send(self, leaf: str, message: Message) -> None:
        """Publish once."""
        await self.client.publish(f"{ROOT}/{self.stranger.path}/{leaf}", encode(message), qos=1)

    async def ask_only(self) -> str:
        """Ask, and don't wait; the question's id."""
        question = self.node.question(self.stranger.card_uid)
        await self.send("card", question)
        return str(question.event_id)

    async def pour(self) -> dict[str, Any]:
        """Ask until the answer comes; if it is a grant, pour and report until the verdict comes. The last answer."""
        question = self.node.question(self.stranger.card_uid)
        answer = await self.insist("card", question, str(question.event_id))
        return answer if answer["type"] == "pour_denied" else await self.report(answer["pour_id"])

    async def report(self, pour_id: str) -> dict[str, Any]:
        """Report a pour until its verdict comes."""
        return await self.insist("pour/completed", self.node.report(UUID(pour_id), self.stranger.card_uid, POUR_ML), pour_id)

    async def answered(self, name: str) -> dict[str, Any]:
        """Wait for the answer to a question, or the verdict of a pour."""
        async with self._news:
            await self._news.wait_for(lambda: name in self.answers)
        return self.answers[name][0]

    async def insist(self, leaf: str, message: Message, name: str) -> dict[str, Any]:
        """Repeat a message until its answer has come."""
        began_s = time.monotonic()
        while True:
            await self.send(leaf, message)
            try:
                answer = await asyncio.wait_for(self.answered(name), REPEAT_S)
            except TimeoutError:
                continue
            self.waits_s.append(time.monotonic() - began_s)
            return answer

    async def _hear(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            heard = json.loads(message.payload)
            if heard["type"] in ANSWERS:
                async with self._news:
                    self.answers.setdefault(heard[ANSWERS[heard["type"]]], []).append(heard)
                    self._news.notify_all()
