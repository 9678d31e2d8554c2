"""A broken device as a process of its own: `python -m tests.chaos.flooder PORT SECRET garbage|replay CARD VICTIM PER_SECOND`."""

import asyncio
import sys
from collections.abc import Iterator
from itertools import count, cycle
from typing import Final

from aiomqtt import Client

from tapwire_contracts.codec import encode
from tapwire_contracts.topics import ROOT, DevicePath
from tests.venue import SimulatedTap

FLOODER: Final = "bar/taps/flooder"
POUR_ID: Final = "00000000-0000-4000-8000-000000000000"
TICKS_A_SECOND: Final = 20
Messages = Iterator[tuple[str, str | bytes]]
"""Topics' leaves and payloads."""


def nonsense() -> Messages:
    """No JSON, a report without ids, and progress of a pour that nobody granted; without end."""
    for number in count():
        yield "card", f"{{{number}"
        yield "pour/completed", '{"type": "pour_completed", "volume_ml": -1}'
        yield "pour/progress", f'{{"type": "pour_progress", "pour_id": "{POUR_ID}", "volume_ml": {number}, "elapsed_ms": 1}}'


def replayed(victim: str, card_uid: str) -> Messages:
    """Another tap's question and report, again and again."""
    old = SimulatedTap(DevicePath.parse(victim))
    question = old.question(card_uid)
    report = old.report(question.event_id, card_uid, 0)
    yield from cycle([("card", encode(question)), ("pour/completed", encode(report))])


async def flood(port: int, secret: str, messages: Messages, per_second: int) -> None:
    """Publish on the device's own topics, until it is killed."""
    async with Client("127.0.0.1", port, username=FLOODER, password=secret, identifier=FLOODER) as client:
        while True:
            for _ in range(per_second // TICKS_A_SECOND):
                leaf, payload = next(messages)
                await client.publish(f"{ROOT}/{FLOODER}/{leaf}", payload, qos=0)
            await asyncio.sleep(1 / TICKS_A_SECOND)


if __name__ == "__main__":
    _, listens_at, password, kind, card, other, rate = sys.argv
    asyncio.run(flood(int(listens_at), password, nonsense() if kind == "garbage" else replayed(other, card), int(rate)))
