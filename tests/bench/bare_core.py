"""A core that decides nothing: broker, client and driver are ours, and each answer costs one call of the least SQL.

It runs as `python -m tests.bench.bare_core BROKER_URL DATABASE_URL` and prints a line once it is subscribed. What lies between it
and Tapwire at one tap are facts, rules and guards; what lies between it and the least SQL are the network and the interpreter. It
has no batches, so at many taps it is no bound.
"""

import asyncio
import sys
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import msgspec
import uvloop

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import (
    CARD,
    COMMAND,
    COMPLETED,
    BeverageShown,
    CardPresented,
    Display,
    Message,
    PourAuthorized,
    PourCompleted,
    PourSettled,
)
from tapwire_contracts.reasons import Outcome, VerdictStatus
from tapwire_contracts.tasks import end_tasks
from tapwire_contracts.topics import ROOT, parse_device_topic
from tapwire_core.broker.client import Client, make_client, subscribe, until_lost
from tapwire_core.db.engine import POOL_SIZE
from tapwire_core.settings import MQTT_5

BALANCE_MINOR: Final = 100_000_000
AMOUNT_MINOR: Final = 125
_messages: Final = msgspec.json.Decoder(CardPresented | PourCompleted)


class BareCore:
    """Answers questions and reports; the first thousand taps have a guest each."""

    def __init__(self, pool: asyncpg.Pool, broker_url: str) -> None:
        self._pool = pool
        self._guests: dict[str, int] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._client: Final[Client] = make_client(broker_url, MQTT_5, receive=self._receive)

    async def run(self) -> None:
        """Answer until the connection is lost."""
        try:
            async with self._client:
                await subscribe(self._client, [(f"{ROOT}/+/+/+/{route.leaf}", route.qos) for route in (CARD, COMPLETED)])
                print("subscribed", flush=True)
                await until_lost(self._client)
        finally:
            await end_tasks(*self._answering)

    def _receive(self, topic: str, payload: bytes) -> None:
        path, _ = parse_device_topic(topic)
        task = asyncio.get_running_loop().create_task(self._answer(str(path), _messages.decode(payload)))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, tap_path: str, message: CardPresented | PourCompleted) -> None:
        guest = self._guests.setdefault(tap_path, len(self._guests))
        answer: Message
        match message:
            case CardPresented():
                answer = grant(message, uuid4())
                await self._pool.execute("SELECT grant_pour($1, $2)", guest, answer.pour_id)
            case PourCompleted():
                answer = verdict(message.pour_id, message.volume_ml)
                await self._pool.execute("SELECT settle_pour($1, $2)", guest, message.pour_id)
        await self._client.publish(f"{ROOT}/{tap_path}/{COMMAND.leaf}", encode(answer), qos=COMMAND.qos)


def grant(question: CardPresented, pour_id: UUID) -> PourAuthorized:
    """A grant as long as a real one."""
    display = Display(
        message="Enjoy! You may pour now.",
        beverage=BeverageShown(name="Pils"),
        sell_price_per_liter_minor=500,
        currency="EUR",
        guest_first_name="Ann",
        balance_minor=BALANCE_MINOR,
    )
    return PourAuthorized(
        request_id=question.event_id,
        pour_id=pour_id,
        card_uid=question.card_uid,
        max_volume_ml=1_000,
        max_duration_ms=300_000,
        idle_timeout_ms=15_000,
        display=display,
    )


def verdict(pour_id: UUID, volume_ml: int) -> PourSettled:
    """A verdict as long as a real one."""
    return PourSettled(
        pour_id=pour_id,
        status=VerdictStatus.ACCEPTED,
        outcome=Outcome.PENDING_UPDATED_TO_SYNCED,
        reason=None,
        volume_ml=volume_ml,
        amount_minor=AMOUNT_MINOR,
        balance_minor=BALANCE_MINOR,
        currency="EUR",
    )


async def main(broker_url: str, database_url: str) -> None:
    """Connect and run."""
    async with asyncpg.create_pool(database_url, min_size=1, max_size=POOL_SIZE) as pool:
        await BareCore(pool, broker_url).run()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
