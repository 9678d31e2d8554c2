"""Core workers: each message goes to one of them, and it may die at any step of what it does.

    take the message → decide → commit → answer
                    ✝         ✝        ✝

Before the commit all is as if the message had never come; after it the answer is missing, and must be the same when it is asked for
again. A worker that is gone comes back, shows its presence and publishes every tap's config. Its heartbeats get lost, late and
repeated like any message, and half of the deaths are without a will.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from random import Random
from typing import Any, Final
from uuid import UUID

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import (
    CardPresented,
    CoreState,
    Message,
    NodeState,
    PourCompleted,
    PourUnknown,
    ReportPour,
    TapConfig,
    UnattributedFlow,
)
from tests.simulation.auditor import Auditor
from tests.simulation.books.interface import Books, Command
from tests.simulation.bus import Bus
from tests.simulation.node import Node
from tests.simulation.virtual import Clock

SWEEP_MS: Final = 2_500
FLUSH_MS: Final = (5, 400)
ABSENCE_MS: Final = (300, 5_000)
PRESENCE_MS: Final = 30
HEARTBEAT_MS: Final = 5_000
WITHOUT_A_WILL: Final = 0.5
WORKERS: Final = ("core-1", "core-2")


class Death(Enum):
    """The step at which a worker dies, if it does."""

    NONE = auto()
    BEFORE_COMMIT = auto()
    BEFORE_ANSWER = auto()


@dataclass(slots=True)
class PriceList:
    """The price per litre now."""

    list_minor: int
    percent_off: int | None = None

    @property
    def price_minor(self) -> int:
        """The list price, or the happy hour's while it lasts: by a formula of the simulation's own."""
        if self.percent_off is None:
            return self.list_minor
        hundredths = self.list_minor * (100 - self.percent_off)
        return max(1, hundredths // 100 + (hundredths % 100 >= 50))


class Core:
    """All workers of one installation, on one set of books. `answers_early`: sabotage, the answer leaves before the commit."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        bus: Bus,
        books: Books,
        auditor: Auditor,
        nodes: Mapping[str, Node],
        prices: PriceList,
        *,
        answers_early: bool = False,
    ) -> None:
        self.alive = set(WORKERS)
        self.retained: dict[str, TapConfig] = {}
        self._clock = clock
        self._random = random
        self._bus = bus
        self._books = books
        self._auditor = auditor
        self._nodes = nodes
        self._prices = prices
        self._answers_early = answers_early
        self._flush_planned = False
        self._handlers: Mapping[type[Message], Callable[[str, Any, bool], Awaitable[str | None]]] = {
            CardPresented: self._answer,
            PourCompleted: self._settle,
            UnattributedFlow: self._record_flow,
            NodeState: self._note_state,
            PourUnknown: self._note_unknown,
        }

    async def start(self) -> None:
        """Publish every config, and begin to beat and to look for missing reports."""
        self._publish(await self._books.configs())
        self._clock.after(SWEEP_MS, self._sweep)
        self._clock.after(HEARTBEAT_MS, self._beat)

    def presence(self) -> list[Message]:
        """The broker's retained messages of workers."""
        return [_present(worker) for worker in sorted(self.alive)]

    # ── messages ────────────────────────────────────────────────────────────

    def publish(self, tap: str, message: Message) -> None:
        """A node hands a message to the broker."""
        if type(message) in self._handlers:
            self._bus.carry(partial(self._receive, tap, message))

    async def _receive(self, tap: str, message: Message) -> None:
        if not self.alive:
            return
        worker, death = self._random.choice(sorted(self.alive)), self._draw_death()
        answer = await self._handlers[type(message)](tap, message, death is Death.BEFORE_COMMIT)
        is_answered = death is Death.NONE or (death is Death.BEFORE_COMMIT and self._answers_early)
        if answer is not None and is_answered:
            self.send(tap, answer)
        if death is not Death.NONE:
            self._lose(worker)
        self.flush_soon()

    def _draw_death(self) -> Death:
        if self._random.random() >= self._bus.weather.worker_death:
            return Death.NONE
        return self._random.choice((Death.BEFORE_COMMIT, Death.BEFORE_ANSWER))

    async def _answer(self, tap: str, asked: CardPresented, dies: bool) -> str:
        pour_id = UUID(int=self._random.getrandbits(128), version=4)
        answer = await self._books.answer(tap, asked, pour_id, self._clock.now_ms, dies=dies)
        if str(pour_id) in answer and not dies:
            self._auditor.granted(pour_id, self._prices.price_minor, asked.card_uid, await self._books.statement())
        return answer

    async def _settle(self, tap: str, report: PourCompleted, dies: bool) -> str:
        verdict = await self._books.settle(tap, report, dies=dies)
        if not dies:
            self._auditor.answered(report.pour_id, (report.odometer_from_ml, report.odometer_to_ml), verdict)
        return verdict

    async def _record_flow(self, tap: str, flow: UnattributedFlow, dies: bool) -> str:
        return await self._books.record_flow(tap, flow, dies=dies)

    async def _note_state(self, tap: str, state: NodeState, dies: bool) -> None:
        await self._books.note_state(tap, state, dies=dies)

    async def _note_unknown(self, tap: str, unknown: PourUnknown, dies: bool) -> None:
        if not dies:
            await self._books.note_unknown(tap, unknown)

    # ── what nobody asked for ───────────────────────────────────────────────

    def send(self, tap: str, message: Message | str) -> None:
        """Publish something for a tap."""
        self._bus.carry(partial(self._nodes[tap].receive, message))

    def flush_soon(self) -> None:
        """Have the outbox emptied after a moment."""
        if not self._flush_planned:
            self._flush_planned = True
            self._clock.after(self._random.randint(*FLUSH_MS), self._flush)

    async def _flush(self) -> None:
        self._flush_planned = False
        if self.alive:
            self._publish(await self._books.take_commands())

    def _publish(self, commands: list[Command]) -> None:
        for tap, command in commands:
            if isinstance(command, TapConfig):
                self.retained[tap] = command
            self.send(tap, command)

    async def _sweep(self) -> None:
        self._clock.after(SWEEP_MS, self._sweep)
        if self.alive:
            for asked in await self._books.ask_for_reports(self._clock.now_ms):
                self.send(asked.tap_path, encode(ReportPour(pour_id=asked.pour_id, journal_id=asked.journal_id)).decode())

    # ── workers ─────────────────────────────────────────────────────────────

    def _lose(self, worker: str) -> None:
        self.alive.discard(worker)
        if self._random.random() >= WITHOUT_A_WILL:
            self._show_presence(lambda node: node.core_gone(worker))
        self._clock.after(self._random.randint(*ABSENCE_MS), partial(self.come_back, worker))

    async def come_back(self, worker: str) -> None:
        """A worker starts again."""
        if worker in self.alive:
            return
        self.alive.add(worker)
        self._publish(await self._books.configs())
        self._show_presence(lambda node: node.receive(_present(worker)))
        self.flush_soon()

    def _beat(self) -> None:
        """Each worker that is there says so again."""
        self._clock.after(HEARTBEAT_MS, self._beat)
        for worker in sorted(self.alive):
            for node in self._nodes.values():
                self._bus.carry(partial(node.receive, _present(worker)))

    def _show_presence(self, tell: Callable[[Node], None]) -> None:
        """Presence is state that the broker retains: who is connected gets every change of it, in order."""
        for node in self._nodes.values():
            self._clock.after(PRESENCE_MS, partial(tell, node))


def _present(worker: str) -> CoreState:
    return CoreState(instance_id=worker, software="simulated", contract_version=CONTRACT_VERSION, heartbeat_ms=HEARTBEAT_MS)
