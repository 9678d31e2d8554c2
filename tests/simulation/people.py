"""Guests who pour, and operators who do the right thing at a bad moment."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.domain.closed_sets import CashKind, KegFinish, TapStatus
from tapwire_core.domain.serving_limits import EthanolLimit, ServingLimit, VolumeLimit
from tests.simulation.auditor import Auditor
from tests.simulation.books.interface import Books, Refusal
from tests.simulation.core import PriceList
from tests.simulation.node import Node
from tests.simulation.site import Site
from tests.simulation.virtual import Clock

PRICES_MINOR: Final = (1, 333, 9_00, 9_99, 12_50)
PERCENTS_OFF: Final = (None, 1, 20, 50, 99)
AMOUNTS_MINOR: Final = (1, 50, 3_00, 10_00)
FLOAT_MINOR: Final = 20_00
DRAWER_SHARE: Final = 0.6
"""Share of the seeds with check-outs in which cash is counted too."""
DEPOSITS_MINOR: Final = (0, 50, 2_00, 5_00)


@dataclass(slots=True)
class Guest:
    """A guest with cards, of which the last one is in use."""

    guest_id: UUID
    name: str
    cards: list[str] = field(default_factory=list)
    visit_id: UUID | None = None


@dataclass(slots=True)
class People:
    """Everybody at the venue."""

    clock: Clock
    random: Random
    books: Books
    auditor: Auditor
    nodes: Mapping[str, Node]
    prices: PriceList
    site: Site
    guests: list[Guest]
    counts_cash: bool = False
    off_minor: int = 0

    # ── guests ──────────────────────────────────────────────────────────────

    def come(self, until_ms: int) -> None:
        """Guests come, and each lays a card on a tap again and again."""
        for guest in self.guests:
            self.clock.after(self.random.randint(0, 4_000), partial(self._arrive, guest))
            for _ in range(self.random.randint(2, 7)):
                self.clock.after(self.random.randint(1_000, until_ms), partial(self._go_to_a_tap, guest))

    async def _arrive(self, guest: Guest) -> None:
        await self.check_in(guest)
        if self.random.random() < 0.9:
            await self.pay(guest, self.random.choice((1, 2_00, 5_00, 20_00)))

    async def check_in(self, guest: Guest) -> None:
        """Open a visit with a card that works; a lost one is replaced."""
        if guest.visit_id is None:
            opened = await self.books.open_visit(guest.guest_id, self._card_of(guest), self._new_id())
            if opened == "lost_card":
                opened = await self.books.open_visit(guest.guest_id, self._new_card(guest), self._new_id())
            if opened == "insufficient_funds":
                await self.pay(guest, DEPOSITS_MINOR[-1])
                opened = await self.books.open_visit(guest.guest_id, guest.cards[-1], self._new_id())
            guest.visit_id = opened if isinstance(opened, UUID) else None
        elif await self.books.assign_card(guest.visit_id, self._card_of(guest)) == "lost_card":
            await self.books.assign_card(guest.visit_id, self._new_card(guest))

    async def pay(self, guest: Guest, amount_minor: int) -> None:
        """Put money on the account."""
        if await self.books.top_up(guest.guest_id, amount_minor) is None:
            self.auditor.paid(guest.guest_id, amount_minor)
            self.auditor.cash_moved(amount_minor)

    def _go_to_a_tap(self, guest: Guest) -> None:
        if guest.cards:
            self.pour(guest, self.random.choice(list(self.nodes.values())), self.random.randint(200, 4_000))

    def pour(self, guest: Guest, node: Node, hold_ms: int) -> None:
        """Lay the card on, draw, take it off again: not always in the best order."""
        if node.card_uid is not None:
            return
        node.see(self.random.choice(guest.cards[-2:]))
        self.clock.after(self.random.randint(0, 800), partial(node.plumbing.set_draw, self.random.choice((0, 40, 90, 150))))
        self.clock.after(hold_ms, partial(self._lift, node))
        self.clock.after(max(1, hold_ms + self.random.randint(-300, 400)), partial(node.plumbing.set_draw, 0))
        if self.random.random() < 0.2:
            self.clock.after(hold_ms // 2, partial(self._fumble, node))

    def _lift(self, node: Node) -> None:
        if node.card_uid is not None:
            node.see(None)

    def _fumble(self, node: Node) -> None:
        """For a moment the reader sees nothing, or another guest's card."""
        card_uid = node.card_uid
        others = [guest.cards[-1] for guest in self.guests if guest.cards and guest.cards[-1] != card_uid]
        if card_uid is not None:
            node.see(self.random.choice(others) if others and self.random.random() < 0.3 else None)
            self.clock.after(self.random.randint(50, 700), partial(self._steady, node, card_uid))

    def _steady(self, node: Node, card_uid: str) -> None:
        if node.card_uid is None:
            node.see(card_uid)
            self.clock.after(self.random.randint(100, 2_000), partial(self._lift, node))

    # ── serving limits ──────────────────────────────────────────────────────

    def serve_with_limits(self, tricks: Random, until_ms: int) -> None:
        """The venue sets a serving limit, and staff look at guests; the dice are others than those of the other troubles."""
        self.clock.after(tricks.randint(1, until_ms // 2), partial(self._limit, tricks))
        deeds = (
            self._rearm,
            self._rearm,
            self._rearm,
            self._change_alcohol,
            self._change_strength,
            self._limit,
            self._come_as_group,
        )
        for _ in range(tricks.randint(3, 12)):
            self.clock.after(tricks.randint(2_000, until_ms), partial(tricks.choice(deeds), tricks))

    async def _limit(self, tricks: Random) -> None:
        window = tricks.choice((None, 600))
        limits: tuple[ServingLimit | None, ...] = (
            VolumeLimit(limit_ml=tricks.choice((1, 150, 400, 1_000)), window_minutes=window),
            EthanolLimit(limit_mg=tricks.choice((100, 5_000, 20_000)), window_minutes=window),
            VolumeLimit(limit_ml=300),
            None,
        )
        limit = tricks.choice(limits)
        await self.books.set_serving_limit(limit)
        self.auditor.limit_set(limit)

    async def _rearm(self, tricks: Random) -> None:
        await self.rearm(tricks.choice(self.guests))

    async def rearm(self, guest: Guest) -> None:
        """Look at a guest, and let them go on."""
        if guest.visit_id is not None and await self.books.rearm(guest.visit_id) is None:
            self.auditor.rearmed(guest.guest_id, await self.books.statement())

    async def _change_alcohol(self, tricks: Random) -> None:
        guest = tricks.choice(self.guests)
        if guest.visit_id is not None:
            await self.books.set_alcohol(guest.visit_id, tricks.random() < 0.5)

    async def _change_strength(self, tricks: Random) -> None:
        await self.books.set_strength(tricks.choice((None, 0, 1, 495, 1_200, 4_000)))

    async def _come_as_group(self, tricks: Random) -> None:
        guest = tricks.choice(self.guests)
        if guest.visit_id is None and guest.cards:
            opened = await self.books.open_visit(guest.guest_id, guest.cards[-1], self._new_id(), tricks.choice((2, 5)))
            guest.visit_id = opened if isinstance(opened, UUID) else None

    # ── house credit ────────────────────────────────────────────────────────

    def spend_house_credit(self, dice: Random, until_ms: int) -> None:
        """The house gives guests money, and corrects pours; the dice are others than those of the other troubles."""
        for _ in range(dice.randint(4, 14)):
            self.clock.after(dice.randint(2_000, until_ms), partial(dice.choice((self._give, self._correct, self._pay_out)), dice))

    async def _give(self, dice: Random) -> None:
        guest, amount_minor = dice.choice(self.guests), dice.choice(AMOUNTS_MINOR)
        if await self.books.comp(guest.guest_id, amount_minor, await self._some_pour(dice, guest)) is None:
            self.auditor.given(guest.guest_id, amount_minor)

    async def _correct(self, dice: Random) -> None:
        guest, amount_minor = dice.choice(self.guests), dice.choice(AMOUNTS_MINOR) * dice.choice((1, 1, -1))
        if await self.books.adjust(guest.guest_id, amount_minor, await self._some_pour(dice, guest)) is None:
            self.auditor.paid(guest.guest_id, amount_minor)

    async def _pay_out(self, dice: Random) -> None:
        guest, amount_minor = dice.choice(self.guests), dice.choice(AMOUNTS_MINOR)
        if await self.books.refund(guest.guest_id, amount_minor) is None:
            self.auditor.paid(guest.guest_id, -amount_minor)
            self.auditor.cash_moved(-amount_minor)

    async def _some_pour(self, dice: Random, guest: Guest) -> UUID | None:
        pours = (await self.books.statement()).pours
        return dice.choice((None, *sorted(pour_id for pour_id, line in pours.items() if line.guest_id == guest.guest_id)))

    # ── deposits and check-outs ─────────────────────────────────────────────

    def work_at_the_counter(self, dice: Random, until_ms: int) -> None:
        """Cards bear deposits, visits end by the clock, and guests are checked out; by dice of its own."""
        self.clock.after(dice.randint(1, 3_000), partial(self._set_deposit, dice))
        if dice.random() < DRAWER_SHARE:
            self.clock.after(1, self._begin_to_count)
        deeds = (
            *(self._check_out, self._check_out, self._check_out, self._expire, self._extend, self._set_deposit),
            *(self._count, self._move_cash),
        )
        for _ in range(dice.randint(5, 20)):
            self.clock.after(dice.randint(3_000, until_ms), partial(dice.choice(deeds), dice))

    async def _set_deposit(self, dice: Random) -> None:
        await self.books.set_deposit(dice.choice(DEPOSITS_MINOR))

    async def _check_out(self, dice: Random) -> None:
        guest = dice.choice(self.guests)
        if guest.visit_id is None:
            return
        visit_id, pays_out, card_returned = guest.visit_id, dice.random() < 0.6, dice.random() < 0.7
        for _ in range(dice.choice((1, 2))):
            paid_minor = await self.books.check_out(visit_id, pays_out=pays_out, card_returned=card_returned)
            if isinstance(paid_minor, int) and guest.visit_id is not None:
                guest.visit_id = None
                self.auditor.paid(guest.guest_id, -paid_minor)
                self.auditor.cash_moved(-paid_minor)
        self.clock.after(dice.choice((1, 2_000)), partial(self.check_in, guest))

    async def _begin_to_count(self) -> None:
        """The shift changes while nobody is here yet, and the next one counts its cash."""
        await self.books.count_cash_from_next_shift()
        self.counts_cash = True
        if await self.close_shift() is None:
            await self.open_shift()

    async def open_shift(self) -> None:
        """Open the shift, with cash in its drawer where it is counted."""
        if await self.books.open_shift(FLOAT_MINOR if self.counts_cash else 0) is None:
            self.auditor.shift_opened(FLOAT_MINOR if self.counts_cash else None)

    async def close_shift(self) -> Refusal:
        """Close the shift; its drawer is counted, and a note is missing or too many."""
        has_minor = self.auditor.drawer_minor
        counted_minor = None if has_minor is None else max(0, has_minor + self.off_minor)
        refusal = await self.books.close_shift(counted_minor)
        if refusal is None:
            self.auditor.shift_closed(counted_minor)
        return refusal

    async def _count(self, dice: Random) -> None:
        self.off_minor = dice.choice((0, 0, 1, -5_00, 10_00))
        if self.auditor.drawer_minor is not None:
            await self.books.count_drawer(max(0, self.auditor.drawer_minor + self.off_minor))

    async def _move_cash(self, dice: Random) -> None:
        kind, amount_minor = dice.choice(tuple(CashKind)), dice.choice(AMOUNTS_MINOR)
        if self.auditor.drawer_minor is not None and await self.books.move_cash(kind, amount_minor) is None:
            self.auditor.cash_moved(amount_minor if kind is CashKind.PAY_IN else -amount_minor)

    async def _expire(self, dice: Random) -> None:
        guest = dice.choice(self.guests)
        if guest.visit_id is not None:
            await self.books.expire(guest.visit_id)

    async def _extend(self, dice: Random) -> None:
        await self.extend(dice.choice(self.guests))

    async def extend(self, guest: Guest) -> None:
        """Let a guest's visit last longer."""
        if guest.visit_id is not None:
            await self.books.extend(guest.visit_id)

    # ── operators ───────────────────────────────────────────────────────────

    def meddle(self, times: int, until_ms: int) -> None:
        """Operators do things, whatever goes on."""
        deeds: tuple[tuple[int, Callable[[], Awaitable[None]]], ...] = (
            (4, self._end_a_pour),
            (3, self._pay_or_refund),
            (2, self._close_and_open_a_visit),
            (2, self._lose_or_find_a_card),
            (2, self._lock_or_free_a_tap),
            (1, self._change_a_keg),
            (1, self._change_the_price),
            (1, self._stop_everything),
            (1, self._stop_a_tap),
            (1, self._close_the_shift),
        )
        weights = [weight for weight, _ in deeds]
        for _, deed in self.random.choices(deeds, weights, k=times):
            self.clock.after(self.random.randint(2_000, until_ms), deed)

    async def _end_a_pour(self) -> None:
        """Look at a pour, think about it, and end it: by then it may have ended by itself."""
        books = await self.books.statement()
        pending = [pour_id for pour_id, line in books.pours.items() if line.sync_status == SyncStatus.PENDING_SYNC]
        if pending:
            pour_id = self.random.choice(pending)
            visit_id = next(key for key, visit in books.visits.items() if visit.guest_id == books.pours[pour_id].guest_id)
            for key, visit in books.visits.items():
                if visit.guest_id == books.pours[pour_id].guest_id and visit.status == "active":
                    visit_id = key
            named = self.random.choice((pour_id, None))
            self.clock.after(self.random.choice((1, 2_000)), partial(self._end, visit_id, named))

    async def _end(self, visit_id: UUID, pour_id: UUID | None) -> None:
        volume_ml = self.random.choice((0, 1, 120, 250, 700))
        if self.random.random() < 0.5:
            await self.ending(partial(self.books.reconcile, visit_id, volume_ml, pour_id), volume_ml)
        else:
            await self.ending(partial(self.books.unlock, visit_id, pour_id))

    async def ending(self, end: Callable[[], Awaitable[Refusal]], typed_ml: int | None = None) -> Refusal:
        """Do what may end pours, and tell the auditor which it ended."""
        before = await self.books.statement()
        refusal = await end()
        after = await self.books.statement()
        for pour_id, line in before.pours.items():
            if line.sync_status != after.pours[pour_id].sync_status:
                self.auditor.ended(pour_id, typed_ml)
        return refusal

    async def _pay_or_refund(self) -> None:
        guest, amount_minor = self.random.choice(self.guests), self.random.choice(AMOUNTS_MINOR)
        if self.random.random() < 0.7:
            await self.pay(guest, amount_minor)
        elif await self.books.refund(guest.guest_id, amount_minor) is None:
            self.auditor.paid(guest.guest_id, -amount_minor)
            self.auditor.cash_moved(-amount_minor)

    async def _close_and_open_a_visit(self) -> None:
        guest = self.random.choice(self.guests)
        if guest.visit_id is not None:
            void_pending = self.random.random() < 0.5
            if await self.ending(partial(self.books.close_visit, guest.visit_id, void_pending=void_pending)) is None:
                guest.visit_id = None
        self.clock.after(self.random.choice((1, 3_000)), partial(self.check_in, guest))

    async def _lose_or_find_a_card(self) -> None:
        guest = self.random.choice(self.guests)
        if guest.cards:
            await self.books.lose_card(guest.cards[-1])
            if self.random.random() < 0.5:
                self.clock.after(self.random.choice((1, 2_000)), partial(self.books.restore_card, guest.cards[-1]))
            else:
                self.clock.after(self.random.choice((1, 2_000)), partial(self.check_in, guest))

    async def _lock_or_free_a_tap(self) -> None:
        tap = self.random.choice(list(self.nodes))
        await self.books.set_tap_status(tap, self.random.choice((TapStatus.LOCKED, TapStatus.CLEANING)))
        self.clock.after(self.random.choice((1, 3_000)), partial(self.books.set_tap_status, tap, TapStatus.ACTIVE))

    async def _change_a_keg(self) -> None:
        if self.site.spare_kegs:
            tap, keg_id = self.random.choice(list(self.nodes)), self.random.choice(self.site.spare_kegs)
            if await self.books.put_keg(tap, keg_id) is None:
                self.auditor.keg_hung(tap, keg_id)

    def finish_kegs(self, dice: Random, until_ms: int) -> None:
        """In half of the seeds kegs are kicked, spoiled or returned, at any moment."""
        if dice.random() < 0.5:
            for keg_id in self.site.fresh_kegs[: dice.randint(1, len(self.site.fresh_kegs))]:
                finish = dice.choice((KegFinish.KICKED, KegFinish.KICKED, KegFinish.SPOILED, KegFinish.RETURNED))
                self.clock.after(dice.randint(2_000, until_ms), partial(self._finish_a_keg, dice, keg_id, finish))

    async def _finish_a_keg(self, dice: Random, keg_id: UUID, finish: KegFinish) -> None:
        tap = dice.choice(list(self.nodes))
        before = (await self.books.statement()).taps[tap].keg_id
        if before is not None and await self.books.put_keg(tap, keg_id, finish) is None:
            self.auditor.keg_hung(tap, keg_id)
            self.auditor.keg_finished(before, finish)

    async def _change_the_price(self) -> None:
        self.prices.list_minor = self.random.choice(PRICES_MINOR)
        await self.books.set_price(self.prices.list_minor)

    def play_happy_hours(self, hours: Random, until_ms: int) -> None:
        """In half of the seeds a price rule begins, changes and is deleted, whatever goes on."""
        if hours.random() < 0.5:
            for _ in range(hours.randint(1, 6)):
                self.clock.after(hours.randint(2_000, until_ms), partial(self._set_happy_hour, hours.choice(PERCENTS_OFF)))

    async def _set_happy_hour(self, percent_off: int | None) -> None:
        self.prices.percent_off = percent_off
        await self.books.set_happy_hour(percent_off)

    async def _stop_everything(self) -> None:
        await self.books.set_emergency_stop(on=True)
        self.clock.after(self.random.choice((1, 2_000)), partial(self.books.set_emergency_stop, on=False))

    async def _stop_a_tap(self) -> None:
        await self.books.stop_tap(self.random.choice(list(self.nodes)))

    async def _close_the_shift(self) -> None:
        if await self.close_shift() is None:
            self.clock.after(self.random.choice((1, 2_000)), self.open_shift)

    # ── ids ─────────────────────────────────────────────────────────────────

    def _card_of(self, guest: Guest) -> str:
        return guest.cards[-1] if guest.cards else self._new_card(guest)

    def _new_card(self, guest: Guest) -> str:
        guest.cards.append(f"04{self.random.getrandbits(24):06x}")
        return guest.cards[-1]

    def _new_id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)
