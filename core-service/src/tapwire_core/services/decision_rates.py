"""The rate at which one device gets decisions, and the count of what it said beyond that.

Each process counts for itself: no device needs a row or a lock for it, and a flood costs no statement per message. What got no
decision is not lost: a device repeats a question until it is answered and a fact until its verdict comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes.dead_letters import count_undecided
from tapwire_core.errors import DomainError

HOUR_S: Final = 3600.0
SAMPLE_BYTES: Final = 200
WRITTEN_EVERY_S: Final = 1.0


class RateLimited(DomainError):
    """The device asks and reports faster than it gets decisions; it may say the same again later."""

    code = "rate_limited"


@dataclass(slots=True)
class _Allowance:
    """Decisions left to a device at a moment of the monotonic clock."""

    left: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Undecided:
    """The number of a device's messages that got no decision, and one of them. `topic`: where it was said."""

    messages: int
    topic: str
    payload: bytes


class DecisionRates:
    """Allowances of all devices: `per_hour` in an hour, and `at_once` at once; without it, all of an hour's."""

    def __init__(self, per_hour: int, at_once: int | None = None) -> None:
        self._per_hour: Final = per_hour
        self._at_once: Final = per_hour if at_once is None else at_once
        self._allowances: Final[dict[str, _Allowance]] = {}
        self._undecided: Final[dict[str, Undecided]] = {}
        self._taken_at_s: float | None = None

    def admit(self, device: str, now_s: float, decisions: int = 1) -> bool:
        """Take decisions off a device's allowance; False when it is used up. A batch may overdraw it: the next one waits longer."""
        allowance = self._allowances.setdefault(device, _Allowance(self._at_once, now_s))
        allowance.left = min(allowance.left + (now_s - allowance.at_s) * self._per_hour / HOUR_S, self._at_once)
        allowance.at_s = now_s
        if allowance.left < 1:
            return False
        allowance.left -= decisions
        return True

    def retry_after_ms(self, device: str) -> int:
        """Time until a device that was not admitted has an allowance again."""
        return max(1, round((1 - self._allowances[device].left) * HOUR_S / self._per_hour * 1000))

    def count(self, device: str, topic: str, payload: bytes, messages: int = 1) -> None:
        """Count messages that get no decision; the first one since the last writing is the sample."""
        earlier = self._undecided.get(device)
        self._undecided[device] = (
            Undecided(earlier.messages + messages, earlier.topic, earlier.payload)
            if earlier
            else Undecided(messages, topic, payload[:SAMPLE_BYTES])
        )

    def is_due(self, now_s: float) -> bool:
        """True if the counts were not taken for `WRITTEN_EVERY_S`, for a process without a task that writes them."""
        return self._taken_at_s is None or now_s - self._taken_at_s >= WRITTEN_EVERY_S

    def take_undecided(self, now_s: float) -> Mapping[str, Undecided]:
        """Take the counts, to write them; forget devices with a full allowance."""
        taken = dict(self._undecided)
        self._taken_at_s = now_s
        self._undecided.clear()
        for device, allowance in list(self._allowances.items()):
            if allowance.left + (now_s - allowance.at_s) * self._per_hour / HOUR_S >= self._at_once:
                del self._allowances[device]
        return taken

    def put_back(self, taken: Mapping[str, Undecided]) -> None:
        """Count again what could not be written."""
        for device, undecided in taken.items():
            self.count(device, undecided.topic, undecided.payload, undecided.messages)


async def write_undecided(db: Database, rates: DecisionRates, now_s: float) -> int:
    """Write the counts to the devices' incidents, and return the number of messages; what can't be written stays counted."""
    undecided = rates.take_undecided(now_s)
    if undecided:
        try:
            await _keep_undecided(db, undecided)
        except BaseException:
            rates.put_back(undecided)
            raise
    return sum(one.messages for one in undecided.values())


@use_case
async def _keep_undecided(store: Store, undecided: Mapping[str, Undecided]) -> None:
    """Add counts to the devices' incidents `device_misbehaving`; the devices in one order, so that two workers never deadlock."""
    for device, one in sorted(undecided.items()):
        await count_undecided(store, device, one.messages, one.topic, one.payload)
