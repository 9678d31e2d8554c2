"""The monkey: it kills, cuts, delays, fills and misleads, at random but from a seed, and writes down what it did.

Each fault is a method, and `FAULTS` says how often it is chosen. One that lasts undoes itself.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any, Final, TypeVar

import asyncpg
import psutil
from aiomqtt import MqttError

from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_node.simulator.protocol import Action
from tests.chaos.first_data import FLOODER
from tests.chaos.flooder import nonsense
from tests.chaos.link import Link
from tests.chaos.machines import Member
from tests.chaos.memory_card import Image
from tests.chaos.programs import KeptProgram
from tests.chaos.site import ADMIN, CORES, Site, Tap, start_clone

PAUSE_S: Final = (0.2, 1.2)
LASTS_S: Final = (0.3, 4.0)
DELAY_S: Final = (0.05, 1.0)
AT_ONCE: Final = 3
"""Faults that last at the same time."""
FLOOD: Final = 3_000
"""More than a broker's queue holds for a client that does not read."""
FLOOD_TIMEOUT_S: Final = 20.0
CLOCK_S: Final = 40 * 86_400
CLONED_S: Final = (3.0, 8.0)
RETRY_S: Final = 0.2
OVER_S: Final = 120.0
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done:
    """A line of the monkey's log; `at_s` from its beginning."""

    at_s: float
    what: str
    target: str

    def __str__(self) -> str:
        return f"{self.at_s:7.1f} s  {self.what:<28} {self.target}"


@dataclass
class Monkey:
    """Breaks things of a site. `began_s` is monotonic; `at_work` are the faults that still last."""

    site: Site
    dice: Random
    tell: Callable[[Done], None] = lambda _: None
    log: list[Done] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """Nodes whose memory card is being set back or cloned."""
    _began_s: float = field(default_factory=time.monotonic)
    _lasting: set[asyncio.Task[None]] = field(default_factory=set)

    async def rage(self, seconds: float) -> None:
        """Break things for so long; when this returns, every fault is undone."""
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                await asyncio.sleep(self.dice.uniform(*PAUSE_S))
                if len(self._lasting) < AT_ONCE:
                    self._begin(self.dice.choices(list(FAULTS), list(FAULTS.values()))[0])
            await self.calm_down()
        finally:
            for task in self._lasting:
                task.cancel()

    async def calm_down(self) -> None:
        """Wait until every fault is undone."""
        while self._lasting:
            await asyncio.gather(*self._lasting)

    def note(self, what: str, target: str) -> None:
        """Write a fault down."""
        self.log.append(Done(time.monotonic() - self._began_s, what, target))
        self.tell(self.log[-1])

    def did(self, what: str, target: str) -> bool:
        """Return whether it did this to that."""
        return any((line.what, line.target) == (what, target) for line in self.log)

    def _begin(self, fault: "Fault") -> None:
        task = asyncio.create_task(fault(self))
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)

    # ── what it may break ───────────────────────────────────────────────────

    def _core(self) -> KeptProgram | Member:
        return self.site.programs[self.dice.choice(CORES)]

    def _tap(self) -> Tap:
        return self.dice.choice(self.site.taps)

    def _link(self) -> Link:
        return self.dice.choice(list(self.site.links.values()))

    async def lasts(self) -> None:
        """Leave it broken for a while."""
        await asyncio.sleep(self.dice.uniform(*LASTS_S))

    async def kill_core(self) -> None:
        core = self._core()
        self.note("kill -9", core.name)
        core.send(signal.SIGKILL)

    async def kill_both_cores(self) -> None:
        for core in self.site.cores:
            self.note("kill -9", core.name)
            core.send(signal.SIGKILL)

    async def freeze_core(self) -> None:
        core = self._core()
        self.note("freeze", core.name)
        core.send(signal.SIGSTOP)
        try:
            await self.lasts()
        finally:
            core.send(signal.SIGCONT)

    async def kill_admin(self) -> None:
        self.note("kill -9", ADMIN)
        self.site.programs[ADMIN].send(signal.SIGKILL)

    async def kill_node(self) -> None:
        """Rather one that is pouring."""
        pouring = [tap for tap in self.site.taps if tap.look().valve_is_driven]
        tap = self.dice.choice(pouring or self.site.taps)
        self.note("kill -9", tap.node.name)
        tap.node.send(signal.SIGKILL)

    async def kill_server(self) -> None:
        """Broker or database; it stays away for a while."""
        server = self.site.servers[self.dice.choice(list(self.site.servers))]
        self.note("kill -9", server.name)
        server.stays_down = True
        server.kill()
        try:
            await self.lasts()
        finally:
            server.stays_down = False
        await server.up()

    async def kill_backend(self) -> None:
        """One of PostgreSQL's own processes: it then ends all connections and recovers."""
        with suppress(psutil.NoSuchProcess, ProcessLookupError, IndexError):
            victim = self.dice.choice(psutil.Process(self.site.postgres.pid).children())
            self.note("kill -9", "a postgres backend")
            os.kill(victim.pid, signal.SIGKILL)

    async def cut_link(self) -> None:
        link = self._link()
        self.note("cut", link.name)
        link.cut()

    async def close_link(self) -> None:
        link = self._link()
        self.note("keep cut", link.name)
        await self._with_link(link, link.close)

    async def silence_link(self) -> None:
        link = self._link()
        self.note("silence", link.name)
        await self._with_link(link, link.silence)

    async def delay_link(self) -> None:
        link = self._link()
        link.delay_s = self.dice.uniform(*DELAY_S)
        self.note("delay", link.name)
        await self._with_link(link, lambda: None)

    async def _with_link(self, link: Link, spoil: Callable[[], None]) -> None:
        spoil()
        try:
            await self.lasts()
        finally:
            link.open()

    async def fill_queues(self) -> None:
        """Let a device speak nonsense faster than anybody listens, while the cores hear nothing."""
        self.note("fill queues", str(FLOODER))
        links = [self.site.links[f"{name} to broker"] for name in CORES]
        for link in links:
            link.silence()
        try:
            with suppress(MqttError, TimeoutError):
                await flood(self.site, FLOOD)
        finally:
            for link in links:
                link.open()

    async def set_card_back(self) -> None:
        """Make an image of a node's memory card, and write it back after the next pour; over when nobody waits for it."""
        if (tap := self._untouched()) is None:
            return
        self.touched.add(tap.node.name)
        try:
            image = await self._while_down(tap, lambda: Image.of(tap.journal))
            asked = await self._until("SELECT now()")
            await self._until(
                "SELECT true FROM pours WHERE tap_path = $1 AND authorized_at > $2 AND volume_ml > 0 LIMIT 1", str(tap.path), asked
            )
            await self.lasts()
            await self._while_down(tap, lambda: tap.set_card_back(image))
            self.note("set the card back", tap.node.name)
            then = await self._until("SELECT now()")
            waiting = "SELECT FROM pours WHERE tap_path = $1 AND sync_status = 'pending_sync' AND authorized_at < $2"
            await self._until(
                f"SELECT NOT EXISTS ({waiting})", str(tap.path), then
            )  # one that only the card knew waits for a person
        finally:
            self.touched.discard(tap.node.name)

    async def clone_card(self) -> None:
        """Switch a second node with the same login on for a while; over when the core has seen that only one is left."""
        if (tap := self._untouched()) is None:
            return
        self.touched.add(tap.node.name)
        clone = start_clone(self.site, tap)
        self.note("clone", tap.node.name)
        try:
            await asyncio.sleep(self.dice.uniform(*CLONED_S))
        finally:
            await clone.stop()
            await self._until("SELECT identity_conflict_at IS NULL FROM taps WHERE tap_path = $1", str(tap.path))
            self.touched.discard(tap.node.name)

    def _untouched(self) -> Tap | None:
        """A tap whose card nobody has in hand."""
        taps = [tap for tap in self.site.taps if tap.node.name not in self.touched]
        return self.dice.choice(taps) if taps else None

    async def _while_down(self, tap: Tap, work: Callable[[], R]) -> R:
        """Kill a node, and do this before it is started again."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        tap.at_death = lambda: done.set_result(work())
        while not done.done():
            tap.node.send(signal.SIGKILL)
            await asyncio.wait([done], timeout=RETRY_S)
        return done.result()

    async def _until(self, asked: str, *values: object) -> object:
        """Wait until the database answers this with something, and return it; the database may be away itself."""
        async with asyncio.timeout(OVER_S):
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                    if found := await self.site.db.pool.fetchval(asked, *values):
                        return found
                await asyncio.sleep(RETRY_S)

    async def move_clock(self) -> None:
        tap = self._tap()
        self.note("clock jumps", tap.node.name)
        tap.hand.act(Action.SET_CLOCK, wrong_by_s=self.dice.randint(-CLOCK_S, CLOCK_S))


Fault = Callable[[Monkey], Coroutine[Any, Any, None]]
FAULTS: Final[Mapping[Fault, int]] = {
    Monkey.kill_core: 4,
    Monkey.kill_both_cores: 1,
    Monkey.freeze_core: 2,
    Monkey.kill_admin: 1,
    Monkey.kill_node: 6,
    Monkey.kill_server: 3,
    Monkey.kill_backend: 1,
    Monkey.cut_link: 4,
    Monkey.close_link: 3,
    Monkey.silence_link: 3,
    Monkey.delay_link: 4,
    Monkey.fill_queues: 1,
    Monkey.move_clock: 2,
    Monkey.set_card_back: 4,
    Monkey.clone_card: 2,
}
"""Its faults with their relative frequencies."""


async def flood(site: Site, count: int) -> None:
    """Publish so many messages of a device that makes no sense; raises `MqttError` and `TimeoutError`."""
    account = site.broker.account(str(FLOODER))
    async with (
        asyncio.timeout(FLOOD_TIMEOUT_S),
        Client(
            site.broker.host,
            site.broker.device_port,
            username=account.username,
            password=account.password,
            identifier=account.username,
            max_queued_outgoing_messages=0,
        ) as client,
    ):
        for leaf, payload in islice(nonsense(), count):
            await client.publish(f"{ROOT}/{FLOODER}/{leaf}", payload, qos=1)
