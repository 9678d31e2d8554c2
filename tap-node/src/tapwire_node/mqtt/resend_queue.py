"""The resend queue: each fact is sent again until the core's verdict on it has come, as a PUBACK is no verdict.

Retries use exponential backoff with jitter, so that many taps don't send at once.
The journal has every fact; the queue holds the oldest `RESEND_QUEUE_LIMIT`, and `needs_refill` says when there is room for more.
"""

from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

from tapwire_node.controller.flow_facts import Fact
from tapwire_node.settings import BrokerSettings

RESEND_QUEUE_LIMIT: Final = 500
SEND_BATCH: Final = 20
"""Facts sent at one tick; the rest follow at the next one."""


@dataclass(slots=True)
class QueuedFact:
    """A fact, the time at which it is due, and how often it was sent."""

    fact: Fact
    due_ms: int
    attempts: int = 0


class ResendQueue:
    """The facts without a verdict, and when each is sent next."""

    def __init__(self, settings: BrokerSettings, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._queued: dict[UUID, QueuedFact] = {}
        self._left_out = False

    @property
    def needs_refill(self) -> bool:
        """True when facts were left in the journal and there is room for them now."""
        return self._left_out and len(self._queued) <= RESEND_QUEUE_LIMIT // 2

    def add(self, fact: Fact, now_ms: int) -> None:
        """Send this fact now, and again until it is settled."""
        known = self._queued.get(fact.fact_id)
        if known is not None:
            known.due_ms = now_ms
        elif len(self._queued) < RESEND_QUEUE_LIMIT:
            self._queued[fact.fact_id] = QueuedFact(fact, now_ms)
        else:
            self._left_out = True

    def refill(self, facts: list[Fact], now_ms: int) -> None:
        """Add the journal's facts, the oldest first, due over `resend_spread_ms`."""
        self._left_out = len(facts) >= RESEND_QUEUE_LIMIT
        for fact in facts:
            if fact.fact_id not in self._queued and len(self._queued) < RESEND_QUEUE_LIMIT:
                self._queued[fact.fact_id] = QueuedFact(fact, self._soon(now_ms))

    def remove(self, fact_id: UUID) -> None:
        """Remove a fact on which the verdict has come."""
        self._queued.pop(fact_id, None)

    def resend_soon(self, now_ms: int) -> None:
        """Make every fact due within `resend_spread_ms` and reset its backoff, as a new core worker may be listening."""
        for sending in self._queued.values():
            sending.due_ms = min(sending.due_ms, self._soon(now_ms))
            sending.attempts = 0

    def take_due(self, now_ms: int) -> list[Fact]:
        """Take the facts to send now, at most `SEND_BATCH`, and schedule their next sending."""
        due = [sending for sending in self._queued.values() if sending.due_ms <= now_ms][:SEND_BATCH]
        for sending in due:
            wait_ms = min(self._settings.resend_first_ms << min(sending.attempts, 20), self._settings.resend_max_ms)
            sending.due_ms = now_ms + self._random.randint(wait_ms // 2, wait_ms)
            sending.attempts += 1
        return [sending.fact for sending in due]

    def _soon(self, now_ms: int) -> int:
        return now_ms + self._random.randint(0, self._settings.resend_spread_ms)
