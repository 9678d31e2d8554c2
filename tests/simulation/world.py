"""One simulation: a venue in a storm, then at rest, then at the end of its day.

A seed decides everything. After the storm every pour must end by itself where its tap's journal is alive; an operator must be
able to end what is left; every tap must serve a guest again; every visit and the shift must close. Then the auditor judges the
books.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from tapwire_contracts.messages import Message
from tapwire_contracts.reasons import SyncStatus
from tapwire_core.domain.closed_sets import TapStatus
from tests.simulation.auditor import Auditor, Finding, Wrong
from tests.simulation.books.interface import Books, Statement
from tests.simulation.books.wrapped import Say, brief, told
from tests.simulation.bus import Bus
from tests.simulation.core import WORKERS, Core, PriceList
from tests.simulation.fault_rates import Weather
from tests.simulation.node import Node
from tests.simulation.people import Guest, People
from tests.simulation.site import KEG_ML, PRICE_MINOR, Site
from tests.simulation.virtual import Clock

STORM_MS: Final = 30_000
CALM_MS: Final = 30_000
ENCORE_MS: Final = 8_000
SET_BACK_SHARE: Final = 0.2
"""Share of the seeds in which a disk is set back."""
LIAR_SHARE: Final = 0.15
"""Share of the seeds in which a node lies about time."""
LIMIT_SHARE: Final = 0.4
"""Share of the seeds in which the venue sets serving limits."""
GIFT_SHARE: Final = 0.3
"""Share of the seeds in which the house gives guests money."""
COUNTER_SHARE: Final = 0.35
"""Share of the seeds with deposits, check-outs and visits that end by the clock."""
MAX_FORGOTTEN_ML: Final = 150
"""Largest volume between two checkpoints on a simulated node's disk."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a seed."""

    seed: int
    findings: tuple[Finding, ...]
    events: int
    pours: int
    books: Statement


def silent(_text: str) -> None:
    """Tell nobody."""


class World:
    """Everything of one seed. `say` hears all; `answers_early` is sabotage: the core's answers leave before its commits."""

    def __init__(self, seed: int, site: Site, books: Books, *, answers_early: bool = False, say: Say = silent) -> None:
        random = Random(f"tapwire {seed}")
        self.seed = seed
        self.clock = Clock()
        self.random = random
        self.say = say
        if say is not silent:
            books = told(books, self._tell)
        self.books = books
        self.weather = Weather.draw(random)
        self.tricks = Random(f"tricks {seed}")
        self.limits = Random(f"serving limits {seed}")
        self.has_limits = self.limits.random() < LIMIT_SHARE
        self.gifts = Random(f"gifts {seed}")
        self.has_gifts = self.gifts.random() < GIFT_SHARE
        self.counter = Random(f"check-outs {seed}")
        self.has_counter = self.counter.random() < COUNTER_SHARE
        self.auditor = Auditor(KEG_ML, MAX_FORGOTTEN_ML)
        self.bus = Bus(self.clock, random, self.weather)
        self.nodes = {tap.path: Node(tap.path, self.clock, self.auditor, random, self._publish) for tap in site.taps}
        self.prices = PriceList(PRICE_MINOR)
        self.core = Core(self.clock, random, self.bus, books, self.auditor, self.nodes, self.prices, answers_early=answers_early)
        guests = [Guest(guest_id, name) for guest_id, name in site.guests]
        self.people = People(self.clock, random, books, self.auditor, self.nodes, self.prices, site, guests)
        for tap in site.taps:
            self.auditor.keg_hung(tap.path, tap.keg_id)

    def _publish(self, tap: str, message: Message) -> None:
        if self.say is not silent:
            self._tell(f"{tap} says {brief(message)}")
        self.core.publish(tap, message)

    def _tell(self, text: str) -> None:
        self.say(f"{self.clock.now_ms:7} ms  {text}")

    async def run(self) -> Outcome:
        """Let it happen."""
        await self._open()
        self._brew_trouble()
        events = await self.clock.run_until(self.clock.now_ms + STORM_MS)
        await self._calm_down()
        events += await self.clock.run_until(self.clock.now_ms + CALM_MS)
        await self._clear_up()
        events += await self._encore()
        await self._close()
        books = await self.books.statement()
        self.auditor.judge(books)
        return Outcome(self.seed, tuple(self.auditor.findings), events, len(books.pours), books)

    # ── the storm ───────────────────────────────────────────────────────────

    async def _open(self) -> None:
        """Taps are installed: each is seen once before anything goes wrong."""
        self.bus.weather = self.weather.calmed()
        await self.core.start()
        for node in self.nodes.values():
            self._start(node)
        await self.clock.run_until(2_000)
        self.bus.weather = self.weather

    def _brew_trouble(self) -> None:
        self.people.come(STORM_MS - 4_000)
        self.people.meddle(self.weather.meddling, STORM_MS - 1_000)
        self.people.finish_kegs(Random(f"kegs {self.seed}"), STORM_MS - 1_000)
        self.people.play_happy_hours(Random(f"prices {self.seed}"), STORM_MS - 1_000)
        for times, trouble in (
            (self.weather.power_cuts, self._cut_power),
            (self.weather.disconnects, self._disconnect),
            (self.weather.leaks, self._leak),
            (self.weather.lost_journals, self._lose_journal),
        ):
            for _ in range(times):
                node = self.random.choice(list(self.nodes.values()))
                self.clock.after(self.random.randint(1_000, STORM_MS - 2_000), partial(trouble, node))

        if self.tricks.random() < SET_BACK_SHARE:
            self._plan_set_back(self.tricks.choice(list(self.nodes.values())))
        if self.tricks.random() < LIAR_SHARE:
            self.tricks.choice(list(self.nodes.values())).lies = self.tricks
        if self.has_limits:
            self.people.serve_with_limits(self.limits, STORM_MS)
        if self.has_gifts:
            self.people.spend_house_credit(self.gifts, STORM_MS)
        if self.has_counter:
            self.people.work_at_the_counter(self.counter, STORM_MS)

    def _plan_set_back(self, node: Node) -> None:
        """A technician makes an image of a disk, and writes it back later."""
        made_ms = self.tricks.randint(0, STORM_MS // 2)
        self.clock.after(made_ms, node.make_image)
        self.clock.after(self.tricks.randint(made_ms + 500, STORM_MS - 1_000), partial(self._set_back, node))

    def _set_back(self, node: Node) -> None:
        node.set_disk_back()
        self.clock.after(500, partial(self._start, node))

    def _cut_power(self, node: Node) -> None:
        """Power fails within the node's next steps."""
        node.fuse = self.random.randint(1, 40)
        self.clock.after(self.random.randint(1_500, 6_000), partial(self._start, node))

    def _start(self, node: Node) -> None:
        node.power_on()
        self._connect_later(node)

    def _connect_later(self, node: Node) -> None:
        self.clock.after(self.random.randint(50, 1_500), partial(self._connect, node))

    def _connect(self, node: Node) -> None:
        retained = self.core.retained.get(node.path)
        node.connect([*([retained] if retained else []), *self.core.presence()])

    def _disconnect(self, node: Node) -> None:
        node.disconnect()
        self.clock.after(self.random.choice((200, 2_000, 8_000)), partial(self._connect, node))

    def _leak(self, node: Node) -> None:
        if self.random.random() < 0.5:
            node.plumbing.get_stuck()
        else:
            node.plumbing.set_leak(self.random.choice((2, 20, 80)))
        node.look()
        self.clock.after(self.random.choice((500, 3_000, 9_000)), partial(self._repair, node))

    def _repair(self, node: Node) -> None:
        node.plumbing.repair()
        node.look()

    def _lose_journal(self, node: Node) -> None:
        """A person replaces a node's disk, and sees the tap come up again."""
        node.replace_disk()
        self.clock.after(500, partial(self._start, node))

    # ── the calm ────────────────────────────────────────────────────────────

    async def _calm_down(self) -> None:
        """The weather clears, workers and nodes come back, hands are off the taps, and operators take every stop back."""
        self.bus.weather = self.weather.calmed()
        for worker in WORKERS:
            await self.core.come_back(worker)
        await self.books.set_emergency_stop(on=False)
        for tap, node in self.nodes.items():
            await self.books.set_tap_status(tap, TapStatus.ACTIVE)
            node.fuse = None
            node.plumbing.set_draw(0)
            self._repair(node)
            if node.card_uid is not None:
                node.see(None)
            self._start(node)
        self.core.flush_soon()

    async def _clear_up(self) -> None:
        """Pours of a living journal have ended; those of a lost one are ended by an operator, who has been told."""
        for pour_id, line in (await self.books.statement()).pours.items():
            if line.sync_status == SyncStatus.PENDING_SYNC:
                seen = self.auditor.taps[line.tap_path]
                if not seen.journal_lost and not seen.set_backs:
                    self.auditor.find(Wrong.STUCK, f"pour {pour_id} is pending, though the journal of {line.tap_path} is alive")
                await self._end(line.guest_id)
        for node in self.nodes.values():
            if node.state.facts_open:
                self.auditor.find(Wrong.STUCK, f"{node.path} waits for {node.state.facts_open} verdicts")

    async def _end(self, guest_id: object) -> None:
        visits = (await self.books.statement()).visits
        visit_id = next(key for key, visit in visits.items() if visit.guest_id == guest_id and visit.status == "active")
        refusal = await self.people.ending(partial(self.books.reconcile, visit_id, 100, None), 100)
        if refusal is not None:
            self.auditor.find(Wrong.STUCK, f"visit {visit_id} can't be reconciled: {refusal}")

    async def _encore(self) -> int:
        """Every tap serves a guest again, one after the other."""
        events = 0
        await self.people.open_shift()
        if self.has_counter:
            await self.books.set_deposit(0)
        if self.has_limits:
            await self.books.set_strength(495)
        for tap in self.nodes.values():
            await self.books.set_tap_status(tap.path, TapStatus.ACTIVE)
        self.core.flush_soon()
        for number, node in enumerate(self.nodes.values()):
            guest = self.people.guests[number % len(self.people.guests)]
            await self.people.check_in(guest)
            await self.people.pay(guest, 5_00)
            before = set(self.auditor.flowed_in)
            events += await self.clock.run_until(self.clock.now_ms + 2_000)
            for _ in range(2 if self.auditor.taps[node.path].set_backs else 1):
                await self._let_drink(guest)
                node.plumbing.set_draw(50)
                node.see(guest.cards[-1])
                self.clock.after(1_500, partial(node.see, None))
                events += await self.clock.run_until(self.clock.now_ms + ENCORE_MS)
                node.plumbing.set_draw(0)
            if set(self.auditor.flowed_in) == before:
                self.auditor.find(Wrong.STUCK, f"{node.path} serves {guest.name} no more")
        return events

    async def _let_drink(self, guest: Guest) -> None:
        """Staff look at a guest, and let them have another one."""
        await self.people.rearm(guest)
        if self.has_counter:
            await self.people.extend(guest)
        if guest.visit_id is not None:
            await self.books.set_alcohol(guest.visit_id, True)

    async def _close(self) -> None:
        """Every visit can be closed, and then the shift."""
        for visit_id, visit in (await self.books.statement()).visits.items():
            if visit.status == "active":
                await self._insist(self.books.close_visit(visit_id, void_pending=False), f"visit {visit_id}")
        await self._insist(self.people.close_shift(), "the shift")

    async def _insist(self, attempt: Awaitable[str | None], what: str) -> None:
        refusal = await attempt
        if refusal is not None:
            self.auditor.find(Wrong.STUCK, f"{what} can't be closed: {refusal}")
