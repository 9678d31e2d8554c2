"""Webhooks that lead to a receiver on this machine, workers that send, and what there is to be told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from tapwire_contracts.reasons import WebhookEventType
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.webhooks import WebhookLimits
from tapwire_core.services import money, webhooks
from tapwire_core.services.webhooks import SUBSCRIBABLE, WebhookSecret
from tapwire_core.worker.webhook_sender import WebhookSender
from tests.besides import besides
from tests.receiver import Behave, Heard, Receiver
from tests.venue import OPERATOR, Venue

QUICK: Final = WebhookLimits(private_targets=True, retry_first_ms=20, retry_most_ms=100)
COMES_WITHIN_S: Final = 30.0
EVERYTHING: Final = sorted(SUBSCRIBABLE)
TOP_UPS: Final = [WebhookEventType.TOP_UP_BOOKED]
ALL_ARRIVED: Final = "SELECT bool_and(status = 'delivered') FROM webhook_deliveries"


def with_limits(db: Database, **limits: Any) -> Database:
    """The database, of a house with other limits."""
    return replace(db, policy=Policy(webhooks=replace(QUICK, **limits)))


@asynccontextmanager
async def sending(db: Database, workers: int = 1) -> AsyncIterator[None]:
    """Workers that send."""
    async with besides(*(WebhookSender(db, poll_interval_s=0.02).run() for _ in range(workers))):
        yield


async def subscribed(db: Database, receiver: Receiver, types: list[WebhookEventType] = EVERYTHING) -> WebhookSecret:
    """A webhook that leads to the receiver."""
    return await webhooks.create_webhook(db, OPERATOR, url=receiver.url, event_types=types)


async def topped_up(venue: Venue, amounts: list[int]) -> None:
    """A guest's money, one booking after the other."""
    ann = await venue.guest()
    for amount in amounts:
        await money.top_up(venue.db, OPERATOR, ann.guest_id, amount, PaymentMethod.CASH, venue.venue_id)


def answers(*statuses: int) -> Behave:
    """Answer so, one after the other, and then take everything."""
    left = list(statuses)

    async def behave(_: Heard) -> int:
        return left.pop(0) if left else 200

    return behave


async def until(db: Database, question: str, *arguments: object) -> None:
    """Wait until the database says yes."""
    async with asyncio.timeout(COMES_WITHIN_S):
        while not await db.pool.fetchval(question, *arguments):
            await asyncio.sleep(0.01)
