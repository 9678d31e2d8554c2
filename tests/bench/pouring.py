"""Taps that pour for people to watch: many in one process, each with a card, a grant, progress five times a second, and a report.

It runs as `python -m tests.bench.pouring`, reads a `PouringPlan` as JSON from stdin and writes a `Poured` to stdout: what was said
when, by the clock of this machine, for whoever notes when it was seen.
"""

import sys
import time
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from paho.mqtt.client import MQTTMessage

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import (
    CARD,
    COMMAND,
    COMPLETED,
    PROGRESS,
    STATE,
    Message,
    PourAuthorized,
    PourDenied,
    PourProgress,
    PourSettled,
)
from tapwire_contracts.reasons import Phase, ValveState
from tapwire_contracts.topics import DevicePath
from tests.bench.load import Connections, TapPlan, commands
from tests.venue import SimulatedTap

PROGRESS_EVERY_S: Final = 0.2
"""The contract's highest rate."""
FLOW_ML: Final = 10
"""In that time."""
POUR_ML: Final = 400
LOOK_S: Final = 0.02
ENDED_WITHIN_S: Final = 15.0


class PouringPlan(Struct, frozen=True):
    """Taps whose cards come one after the other in the first `spread_s`; each pours again and again until the time is over."""

    taps: tuple[TapPlan, ...]
    spread_s: float
    seconds: float


class Said(Struct, frozen=True):
    """Something that a screen should show: at a tap, in a pour, at a time in milliseconds since 1970."""

    path: str
    pour_id: UUID
    at_ms: float
    volume_ml: int = 0


class Poured(Struct):
    """The messages. A card is noted with the pour that it was granted."""

    cards: list[Said] = []
    progress: list[Said] = []
    settled: int = 0
    denied: int = 0
    cpu_s: float = 0.0


class PouringTap:
    """One tap, with the card of a guest who never has enough."""

    def __init__(self, plan: TapPlan, connections: Connections, noted: Poured) -> None:
        self._path: Final = DevicePath.parse(plan.path)
        self._tap = SimulatedTap(self._path, journal_id=plan.journal_id, seq=plan.seq, odometer_ml=plan.odometer_ml)
        self._card_uid: Final = plan.card_uid
        self._noted: Final = noted
        self._began_s: Final = time.monotonic()
        self._due_s = 0.0
        self._laid_ms = 0.0
        self._grant: PourAuthorized | None = None
        self._volume_ml = 0
        self._client: Final = connections.open(plan.login, self._path.topic(COMMAND.leaf), self._hear)
        self.is_idle = True
        self._show(Phase.IDLE)

    def wait_until(self, first_s: float) -> None:
        """Time of its first card."""
        self._due_s = first_s

    def act(self, now_s: float, *, may_begin: bool) -> None:
        """Lay the card on, pour a little more, or report."""
        if now_s < self._due_s:
            return
        if self.is_idle:
            if may_begin:
                self._lay_card(now_s)
        elif self._grant is not None and self._volume_ml < POUR_ML:
            self._flow(self._grant.pour_id, now_s)
        elif self._grant is not None:
            self._report(self._grant.pour_id, now_s)

    def _lay_card(self, now_s: float) -> None:
        self.is_idle, self._due_s, self._laid_ms = False, now_s + ENDED_WITHIN_S, time.time() * 1_000
        self._say(CARD.leaf, self._tap.question(self._card_uid))
        self._show(Phase.AUTHORIZING)

    def _flow(self, pour_id: UUID, now_s: float) -> None:
        self._due_s = max(self._due_s + PROGRESS_EVERY_S, now_s)
        self._volume_ml += FLOW_ML
        self._noted.progress.append(Said(str(self._path), pour_id, time.time() * 1_000, self._volume_ml))
        self._say(PROGRESS.leaf, PourProgress(pour_id=pour_id, volume_ml=self._volume_ml, elapsed_ms=self._volume_ml * 20), qos=0)

    def _report(self, pour_id: UUID, now_s: float) -> None:
        self._due_s = now_s + ENDED_WITHIN_S
        self._say(COMPLETED.leaf, self._tap.report(pour_id, self._card_uid, self._volume_ml))
        self._show(Phase.SETTLING)

    def _hear(self, message: MQTTMessage) -> None:
        match commands.decode(message.payload):
            case PourAuthorized() as grant if self._grant is None and not self.is_idle:
                self._noted.cards.append(Said(str(self._path), grant.pour_id, self._laid_ms))
                self._grant, self._volume_ml, self._due_s = grant, 0, time.monotonic()
                self._show(Phase.POURING)
            case PourSettled():
                self._end(settled=1)
            case PourDenied():
                self._end(denied=1)
            case _:
                pass

    def _end(self, settled: int = 0, denied: int = 0) -> None:
        self._noted.settled += settled
        self._noted.denied += denied
        self._grant, self.is_idle, self._due_s = None, True, time.monotonic()
        self._show(Phase.IDLE)

    def _show(self, phase: Phase) -> None:
        state = self._tap.state(facts_open=int(self._grant is not None), pour_id=self._grant.pour_id if self._grant else None)
        uptime_ms = int((time.monotonic() - self._began_s) * 1_000)
        valve = ValveState.OPEN if phase is Phase.POURING else ValveState.CLOSED
        self._say(STATE.leaf, replace(state, phase=phase, valve=valve, uptime_ms=uptime_ms), retain=True)

    def _say(self, leaf: str, message: Message, *, qos: int = 1, retain: bool = False) -> None:
        self._client.publish(self._path.topic(leaf), encode(message), qos=qos, retain=retain)


def pour(plan: PouringPlan) -> Poured:
    """Let them pour; what has begun comes to its end."""
    connections, noted, cpu_s = Connections(), Poured(), time.process_time()
    taps = [PouringTap(tap, connections, noted) for tap in plan.taps]
    began_s = time.monotonic()
    for number, tap in enumerate(taps):
        tap.wait_until(began_s + plan.spread_s * number / len(taps))
    ends_s = began_s + plan.spread_s + plan.seconds
    while (now_s := time.monotonic()) < ends_s or not all(tap.is_idle for tap in taps):
        if now_s > ends_s + ENDED_WITHIN_S:
            raise TimeoutError("not every pour was settled")
        for tap in taps:
            tap.act(now_s, may_begin=now_s < ends_s)
        connections.work(LOOK_S)
    connections.work(LOOK_S)
    noted.cpu_s = time.process_time() - cpu_s
    return noted


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(pour(msgspec.json.decode(sys.stdin.buffer.read(), type=PouringPlan))))
