"""Anything may happen to a pour, in any order: the rules under a machine that tries.

Honest and dishonest taps, operators with bad timing, reports that can't be believed, repetitions of everything. After each step:
accounts cover their holds, money and volume are conserved, what has ended stays as it ended, and an operator has a way out of
whatever is pending.
"""

import copy
import math
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tapwire_contracts.messages import CardPresented, PourAuthorized, PourCompleted, PourDenied, PourSettled
from tapwire_contracts.reasons import DenyReason, Outcome, SyncStatus
from tapwire_core.domain.closed_sets import Account, StockKind, TapStatus
from tapwire_core.domain.money import charge
from tapwire_core.domain.serving_limits import EthanolLimit, ServingLimit, VolumeLimit
from tests.simulation.books.ledger import Ledger
from tests.simulation.books.rows import PourRow
from tests.simulation.site import MAX_POUR_ML
from tests.simulation.virtual import run_now
from tests.unit.core.bench import Bench, flow_of

TAPS, GUESTS = 2, 3
taps, guests = st.integers(0, TAPS - 1), st.integers(0, GUESTS - 1)
volumes_ml = st.sampled_from((0, 120, 123, 300, MAX_POUR_ML, MAX_POUR_ML + 50, MAX_POUR_ML + 51)) | st.integers(0, 3 * MAX_POUR_ML)
limits = st.sampled_from(
    (None, VolumeLimit(limit_ml=1), VolumeLimit(limit_ml=500), EthanolLimit(limit_mg=900), EthanolLimit(limit_mg=20_000))
)
amounts_minor = st.sampled_from((1, 50, 2_00, 20_00))
Asked = tuple[int, CardPresented, PourAuthorized | PourDenied]
Ended = tuple[SyncStatus, int, int, int]


class PourMachine(RuleBasedStateMachine):
    """Two taps and three guests."""

    questions: Bundle[Asked] = Bundle("questions")
    reports: Bundle[tuple[int, PourCompleted, PourSettled]] = Bundle("reports")

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench.open(TAPS, GUESTS)
        self.ended: dict[UUID, Ended] = {}
        self.paid_minor = [0] * GUESTS
        self.since_rearm: list[set[UUID]] = [set() for _ in range(GUESTS)]

    @initialize(amount_minor=amounts_minor)
    def everybody_pays(self, amount_minor: int) -> None:
        """Guests come with some money."""
        for guest in range(GUESTS):
            self.pay(guest, amount_minor)

    # ── money ───────────────────────────────────────────────────────────────

    @rule(guest=guests, amount_minor=amounts_minor)
    def pay(self, guest: int, amount_minor: int) -> None:
        """A top-up."""
        if run_now(self.bench.ledger.top_up(self.bench.guests[guest].guest_id, amount_minor)) is None:
            self.paid_minor[guest] += amount_minor

    @rule(guest=guests, amount_minor=amounts_minor)
    def take_back(self, guest: int, amount_minor: int) -> None:
        """A refund, of at most what is available."""
        row = self.bench.tables.guests[self.bench.guests[guest].guest_id]
        available_minor = row.balance_minor - row.held_minor

        refusal = run_now(self.bench.ledger.refund(row.guest_id, amount_minor))

        assert (refusal is None) == (amount_minor <= available_minor)
        self.paid_minor[guest] -= amount_minor if refusal is None else 0

    @rule(price_minor=st.sampled_from((1, 333, 9_00, 50_00)))
    def change_the_price(self, price_minor: int) -> None:
        """A new price list."""
        run_now(self.bench.ledger.set_price(price_minor))

    # ── taps ────────────────────────────────────────────────────────────────

    @rule(target=questions, tap=taps, guest=guests, names_the_pour=st.booleans())
    def ask(self, tap: int, guest: int, names_the_pour: bool) -> Any:
        """A card is laid on; the tap's pending pour is in `unsettled`, or not."""
        bench = self.bench
        lease = bench.tables.lease_of_tap(str(bench.taps[tap].path))
        unsettled = (lease.granted.pour_id,) if lease and names_the_pour else ()
        question = bench.taps[tap].question(bench.guests[guest].card_uid, unsettled=unsettled)
        before = copy.deepcopy(bench.tables)
        answer = bench.ask(bench.taps[tap], question)
        if isinstance(answer, PourAuthorized):
            self._check_grant(guest, answer, before.guests[bench.guests[guest].guest_id].balance_minor)
            self._check_limit(guest, answer)
        return tap, question, answer

    def _check_grant(self, guest: int, answer: PourAuthorized, balance_minor: int) -> None:
        tables = self.bench.tables
        granted, guest_id = tables.pours[answer.pour_id].granted, self.bench.guests[guest].guest_id
        others_minor = tables.held_minor(guest_id) - granted.hold_minor
        assert granted.guest_id == guest_id
        assert granted.hold_minor == charge(granted.max_volume_ml, granted.sell_price_per_liter_minor)
        assert granted.hold_minor <= balance_minor - others_minor
        assert 1 <= granted.max_volume_ml <= min(MAX_POUR_ML, tables.kegs[granted.keg_id].book_ml)

    def _check_limit(self, guest: int, answer: PourAuthorized) -> None:
        """What was poured since the last re-arm, or may be, and what is granted now stay within the limit."""
        tables, counted = self.bench.tables, self.since_rearm[guest]
        visit, limit = tables.visits[self.bench.guests[guest].visit_id], tables.serving_limit
        assert visit.alcohol_allowed or tables.abv_hundredths == 0
        if limit is None or tables.abv_hundredths == 0:
            assert answer.display.allowance_left_ml is None
        else:
            left = limit.amount * visit.patrons - sum(self._measure(limit, tables.pours[pour_id]) for pour_id in counted)
            assert self._measure(limit, tables.pours[answer.pour_id]) <= left
        counted.add(answer.pour_id)

    @staticmethod
    def _measure(limit: ServingLimit, pour: PourRow) -> int:
        ml, abv = (pour.granted.max_volume_ml if pour.pending else pour.stock_ml), pour.granted.abv_hundredths
        if abv == 0:
            return 0
        mg = ml * Fraction(10_000 if abv is None else abv, 10_000) * 789
        return ml if isinstance(limit, VolumeLimit) else math.floor(mg + Fraction(1, 2))

    @rule(limit=limits)
    def set_the_limit(self, limit: ServingLimit | None) -> None:
        """The venue limits what a guest gets."""
        run_now(self.bench.ledger.set_serving_limit(limit))

    @rule(abv_hundredths=st.sampled_from((None, 0, 1, 495, 9_600)))
    def set_the_strength(self, abv_hundredths: int | None) -> None:
        """Another beverage, or the same one known better."""
        run_now(self.bench.ledger.set_strength(abv_hundredths))

    @rule(guest=guests)
    def rearm(self, guest: int) -> None:
        """A member of staff looks at a guest."""
        if run_now(self.bench.ledger.rearm(self.bench.guests[guest].visit_id)) is None:
            pours = self.bench.tables.pours
            guest_id = self.bench.guests[guest].guest_id
            self.since_rearm[guest] = {key for key, pour in pours.items() if pour.pending and pour.granted.guest_id == guest_id}

    @rule(guest=guests, allowed=st.booleans())
    def allow_alcohol(self, guest: int, allowed: bool) -> None:
        """A guest may have alcohol, or not."""
        run_now(self.bench.ledger.set_alcohol(self.bench.guests[guest].visit_id, allowed))

    @rule(asked=questions)
    def ask_again(self, asked: Asked) -> None:
        """The same question gets the same answer, but for a grant whose pour has ended."""
        tap, question, first = asked
        again = self.bench.ask(self.bench.taps[tap], question)
        if isinstance(first, PourDenied) or self.bench.tables.pours[first.pour_id].pending:
            assert again == first
        else:
            assert isinstance(again, PourDenied)
            assert again.reason == DenyReason.STALE_REQUEST

    @rule(target=reports, asked=questions, volume_ml=volumes_ml, is_fast=st.booleans())
    def report(self, asked: Asked, volume_ml: int, is_fast: bool) -> Any:
        """A report, perhaps one of several; one that is too fast can't be believed above a litre."""
        tap, _, grant = asked
        if isinstance(grant, PourDenied):
            return multiple()
        completed = self.bench.taps[tap].report(grant.pour_id, grant.card_uid, volume_ml, 0 if is_fast else 60_000)
        return tap, completed, self._settle(tap, completed)

    @rule(target=reports, asked=questions, guest=guests)
    def report_with_a_card(self, asked: Asked, guest: int) -> Any:
        """A report that names some guest's card, perhaps the right one."""
        tap, _, grant = asked
        if isinstance(grant, PourDenied):
            return multiple()
        completed = self.bench.taps[tap].report(grant.pour_id, self.bench.guests[guest].card_uid, 100)
        return tap, completed, self._settle(tap, completed)

    @rule(said=reports)
    def report_again(self, said: tuple[int, PourCompleted, PourSettled]) -> None:
        """The same report gets the first verdict."""
        tap, completed, first = said

        assert self.bench.settle(self.bench.taps[tap], completed) == first

    def _settle(self, tap: int, completed: PourCompleted) -> PourSettled:
        before = {guest.guest_id: guest.balance_minor for guest in self.bench.tables.guests.values()}
        verdict = self.bench.settle(self.bench.taps[tap], completed)
        if verdict.outcome != Outcome.PENDING_UPDATED_TO_SYNCED:
            assert verdict.amount_minor == 0
            assert before == {guest.guest_id: guest.balance_minor for guest in self.bench.tables.guests.values()}
        return verdict

    @rule(tap=taps, volume_ml=st.integers(1, 50))
    def leak(self, tap: int, volume_ml: int) -> None:
        """Beer flows through a closed valve, and is reported twice."""
        used = self.bench.taps[tap]
        flow = flow_of(used, used.odometer_ml, used.odometer_ml + volume_ml)
        used.odometer_ml += volume_ml
        self.bench.record(used, flow)
        self.bench.record(used, flow)

    @rule(tap=taps, unseen_ml=st.integers(0, 20))
    def look_at_the_odometer(self, tap: int, unseen_ml: int) -> None:
        """A tap says that it is idle; something may have flowed that it made no fact of."""
        self.bench.taps[tap].odometer_ml += unseen_ml
        self.bench.idle(self.bench.taps[tap])

    # ── operators ───────────────────────────────────────────────────────────

    @rule(guest=guests, volume_ml=volumes_ml)
    def reconcile(self, guest: int, volume_ml: int) -> None:
        """An operator types a volume."""
        run_now(self.bench.ledger.reconcile(self.bench.guests[guest].visit_id, volume_ml, None))

    @rule(guest=guests)
    def unlock(self, guest: int) -> None:
        """An operator frees a visit."""
        run_now(self.bench.ledger.unlock(self.bench.guests[guest].visit_id, None))

    @rule(guest=guests, void_pending=st.booleans(), patrons=st.sampled_from((1, 1, 3)))
    def leave_and_come_back(self, guest: int, void_pending: bool, patrons: int) -> None:
        """A visit is closed, and the next one opened with the same card."""
        leaving = self.bench.guests[guest]
        if run_now(self.bench.ledger.close_visit(leaving.visit_id, void_pending=void_pending)) is None:
            opened = run_now(self.bench.ledger.open_visit(leaving.guest_id, leaving.card_uid, uuid4(), patrons))
            assert isinstance(opened, UUID)
            leaving.visit_id = opened

    @rule()
    def repair(self) -> None:
        """A tap that an overpour has locked is put back into service."""
        for tap in self.bench.taps:
            run_now(self.bench.ledger.set_tap_status(str(tap.path), TapStatus.ACTIVE))

    # ── what always holds ───────────────────────────────────────────────────

    @invariant()
    def accounts_cover_their_holds(self) -> None:
        """`balance ≥ held ≥ 0`, and held is what pending pours hold."""
        for guest in self.bench.tables.guests.values():
            assert guest.balance_minor >= guest.held_minor >= 0
            assert guest.held_minor == self.bench.tables.held_minor(guest.guest_id)

    @invariant()
    def money_is_conserved(self) -> None:
        """A balance is what was paid less what pours cost, and every movement has two sides."""
        tables = self.bench.tables
        for guest, paid_minor in zip(self.bench.guests, self.paid_minor, strict=True):
            cost_minor = sum(pour.amount_minor for pour in tables.pours.values() if pour.granted.guest_id == guest.guest_id)
            assert tables.guests[guest.guest_id].balance_minor == paid_minor - cost_minor
        sold_minor = sum(moved.amount_minor for moved in tables.money if moved.credit_account is Account.SALES)
        assert sold_minor == sum(pour.amount_minor + pour.loss_minor for pour in tables.pours.values())

    @invariant()
    def volume_is_conserved(self) -> None:
        """A keg holds what it held less what left it, and a pour's stock is what left for it."""
        tables = self.bench.tables
        for keg_id, keg in tables.kegs.items():
            assert keg.book_ml == keg.initial_ml - sum(row.volume_ml for row in tables.stock if row.keg_id == keg_id)
        for pour_id, pour in tables.pours.items():
            moved = [row for row in tables.stock if row.cause_id == pour_id and row.kind is not StockKind.UNATTRIBUTED]
            assert pour.stock_ml == sum(row.volume_ml for row in moved)
            assert {row.keg_id for row in moved} <= {pour.granted.keg_id}

    @invariant()
    def a_tap_and_a_visit_have_one_lease_at_most(self) -> None:
        """And only a leased visit shows a lock."""
        tables = self.bench.tables
        pending = [pour for pour in tables.pours.values() if pour.pending]
        assert len({pour.tap_path for pour in pending}) == len(pending) == len({pour.granted.visit_id for pour in pending})
        for visit in tables.visits.values():
            assert (visit.active_tap_id is not None) == (tables.lease_of_visit(visit.visit_id) is not None)

    @invariant()
    def what_has_ended_stays_as_it_ended(self) -> None:
        """Each pour reaches one terminal state, with one volume and one amount."""
        for pour_id, pour in self.bench.tables.pours.items():
            if not pour.pending:
                now = (pour.sync_status, pour.volume_ml, pour.amount_minor, pour.loss_minor)
                assert self.ended.setdefault(pour_id, now) == now
            else:
                assert pour_id not in self.ended

    @invariant()
    def an_operator_has_a_way_out(self) -> None:
        """Whatever is pending can be reconciled, unlocked, or voided by closing; then visits and shift can be closed."""
        pending = [pour for pour in self.bench.tables.pours.values() if pour.pending]
        for way_out in ("reconcile", "unlock", "close") if pending else ():
            ledger = copy.deepcopy(self.bench.ledger)
            for pour in pending:
                assert run_now(self._end(ledger, way_out, pour.granted.visit_id)) is None
            for guest in self.bench.guests:
                assert run_now(ledger.close_visit(guest.visit_id, void_pending=False)) is None
            assert run_now(ledger.close_shift()) is None

    @staticmethod
    def _end(ledger: Ledger, way_out: str, visit_id: UUID) -> Any:
        match way_out:
            case "reconcile":
                return ledger.reconcile(visit_id, 123, None)
            case "unlock":
                return ledger.unlock(visit_id, None)
            case _:
                return ledger.close_visit(visit_id, void_pending=True)


TestPourMachine = PourMachine.TestCase
TestPourMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
