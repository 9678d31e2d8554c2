"""The core's use cases for operators on plain Python values: what they refuse, and what they change."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from msgspec.structs import replace

from tapwire_contracts.reasons import AuditAction, StopReason, SyncStatus
from tapwire_core.domain import pour_recovery
from tapwire_core.domain.change_records import MoneyMoved
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, CardStatus, CashKind, KegFinish, TapStatus, VisitStatus
from tapwire_core.domain.drawer import book_count, move_cash, put_float
from tapwire_core.domain.house_credit import HouseCredit, refundable_minor
from tapwire_core.domain.kegs import FINAL
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pours import PourEvent
from tapwire_core.domain.serving_limits import ServingLimit
from tests.simulation.books.apply import apply_changes, stop_pour
from tests.simulation.books.facts import always_off, pour_facts, shown_price
from tests.simulation.books.interface import Refusal
from tests.simulation.books.rows import CardRow, DrawerRow, PourRow, Tables, VisitRow

OPERATOR = "operator"


@dataclass(slots=True)
class OperatorBooks:
    """`deduplicates` and `one_lease` are there to be switched off by sabotage, and by nothing else."""

    tables: Tables
    policy: Policy
    new_id: Callable[[], UUID]
    deduplicates: bool = True
    one_lease: bool = True

    def write(self, changes: Changes, now_ms: int = 0) -> None:
        """Commit."""
        apply_changes(self.tables, changes, now_ms, one_lease=self.one_lease)

    def changes(self, tap_path: str | None, actor: str = OPERATOR) -> Changes:
        """Changes that are still to be filled."""
        kegs = {keg_id: keg.book_ml for keg_id, keg in self.tables.kegs.items() if keg.finish is None}
        return Changes(tap_path=tap_path, venue_id=self.tables.venue_id, shift_id=self.tables.shift_id, actor=actor, kegs=kegs)

    # ── visits and cards ────────────────────────────────────────────────────

    async def open_visit(self, guest_id: UUID, card_uid: str, visit_id: UUID, patrons: int = 1) -> UUID | str:
        """`services.visits.open_and_assign_card`."""
        active = self.tables.visit_of_guest(guest_id)
        if self.tables.shift_id is None:
            return "shift_closed"
        if self.tables.guests[guest_id].blocked:
            return "guest_blocked"
        if active is not None and (active.card_uid, active.patrons) == (card_uid, patrons):
            return active.visit_id
        refusal = self._why_not_bind(card_uid, guest_id)
        if refusal is None and active is not None:
            refusal = "visit_already_active"
        refusal = refusal or self._why_no_deposit(card_uid, guest_id)
        if refusal is not None:
            return refusal
        self._bind(card_uid, guest_id)
        self.tables.visits[visit_id] = VisitRow(visit_id, guest_id, card_uid, patrons=patrons)
        return visit_id

    async def assign_card(self, visit_id: UUID, card_uid: str) -> Refusal:
        """`services.visits.assign_card`."""
        visit = self.tables.visits[visit_id]
        if visit.status is not VisitStatus.ACTIVE:
            return "visit_not_active"
        refusal = self._why_not_bind(card_uid, visit.guest_id) or self._why_no_deposit(card_uid, visit.guest_id)
        if refusal is None:
            old = self.tables.cards.get(visit.card_uid or "")
            if not self._bind(card_uid, visit.guest_id) and old is not None and old.status is CardStatus.LOST:
                self._forfeit(old, visit.guest_id)
            visit.card_uid = card_uid
        return refusal

    def _why_not_bind(self, card_uid: str, guest_id: UUID) -> Refusal:
        card = self.tables.cards.get(card_uid, CardRow())
        if card.status in (CardStatus.LOST, CardStatus.RETIRED):
            return "lost_card"
        return "bind_conflict" if card.guest_id not in (None, guest_id) else None

    def _why_no_deposit(self, card_uid: str, guest_id: UUID) -> Refusal:
        guest, is_new = self.tables.guests[guest_id], self.tables.cards.get(card_uid, CardRow()).guest_id is None
        is_covered = guest.balance_minor - guest.held_minor >= self.tables.card_deposit_minor
        return "insufficient_funds" if is_new and not is_covered else None

    def _bind(self, card_uid: str, guest_id: UUID) -> bool:
        """Bind a card and take its deposit, in place of the guest's lost ones; False for one that is bound already."""
        if self.tables.cards.get(card_uid, CardRow()).guest_id == guest_id:
            return False
        for card in self.tables.cards.values():
            if (card.guest_id, card.status) == (guest_id, CardStatus.LOST):
                self._forfeit(card, guest_id)
        deposit_minor = self.tables.card_deposit_minor
        self.tables.cards[card_uid] = CardRow(CardStatus.BOUND, guest_id, deposit_minor)
        self._book(None, Account.GUEST, Account.DEPOSIT, guest_id, deposit_minor)
        return True

    def _forfeit(self, card: CardRow, guest_id: UUID) -> None:
        self._book(None, Account.DEPOSIT, Account.DEPOSIT_FORFEITED, guest_id, card.deposit_minor)
        card.deposit_minor = 0

    async def set_deposit(self, deposit_minor: int) -> Refusal:
        """`services.venues.change_venue`."""
        self.tables.card_deposit_minor = deposit_minor
        return None

    async def check_out(self, visit_id: UUID, *, pays_out: bool, card_returned: bool) -> int | str:
        """`services.check_outs.check_out` by a shift lead, despite incidents."""
        visit = self.tables.visits[visit_id]
        if visit.left is not None:
            return visit.left[2] if visit.left[:2] == (pays_out, card_returned) else "already_checked_out"
        if visit.status is not VisitStatus.ACTIVE:
            return "visit_not_active"
        if self.tables.lease_of_visit(visit_id) is not None:
            return "pour_pending"
        guest, card = self.tables.guests[visit.guest_id], self.tables.cards.get(visit.card_uid or "", CardRow())
        is_theirs = card.guest_id == visit.guest_id
        if card_returned and not (is_theirs and card.status is CardStatus.BOUND):
            return "card_not_returnable"
        deposit_minor = card.deposit_minor if is_theirs else 0
        credit_minor = guest.house_credit_minor - (0 if card_returned else min(deposit_minor, guest.house_credit_minor))
        has_minor = guest.balance_minor - guest.held_minor + (deposit_minor if card_returned else 0)
        paid_minor = refundable_minor(has_minor, credit_minor) if pays_out else 0
        if paid_minor and self.tables.shift_id is None:
            return "shift_closed"
        if card_returned:
            self._book(None, Account.DEPOSIT, Account.GUEST, visit.guest_id, deposit_minor)
            card.status, card.guest_id, card.deposit_minor = CardStatus.AVAILABLE, None, 0
        elif is_theirs:
            self._forfeit(card, visit.guest_id)
        self._book(AuditAction.REFUND, Account.GUEST, Account.CASH, visit.guest_id, paid_minor)
        visit.status, visit.active_tap_id, visit.left = VisitStatus.CLOSED, None, (pays_out, card_returned, paid_minor)
        return paid_minor

    async def expire(self, visit_id: UUID) -> Refusal:
        """Time passes."""
        self.tables.visits[visit_id].expired = True
        return None

    async def extend(self, visit_id: UUID) -> Refusal:
        """`services.visits.extend`."""
        visit = self.tables.visits[visit_id]
        if visit.status is not VisitStatus.ACTIVE:
            return "visit_not_active"
        visit.expired = False
        return None

    async def lose_card(self, card_uid: str) -> Refusal:
        """`services.cards.report_card_lost`."""
        if card_uid not in self.tables.cards:
            return "not_found"
        self.tables.cards[card_uid].status = CardStatus.LOST
        for pour in self.tables.pours.values():
            if pour.pending and pour.granted.card_uid == card_uid:
                self._stop(pour, StopReason.LOST_CARD)
        return None

    async def restore_card(self, card_uid: str) -> Refusal:
        """`services.cards.restore_card`."""
        card = self.tables.cards.get(card_uid)
        if card is None or card.status is not CardStatus.LOST:
            return "not_found" if card is None else "card_not_lost"
        card.status = CardStatus.BOUND if card.guest_id else CardStatus.AVAILABLE
        return None

    async def close_visit(self, visit_id: UUID, *, void_pending: bool) -> Refusal:
        """`services.visits.close_visit` and `void_and_close_visit`."""
        visit, lease = self.tables.visits[visit_id], self.tables.lease_of_visit(visit_id)
        if lease is not None and void_pending:
            self._void(lease, PourEvent.VISIT_CLOSED, AuditAction.POUR_VOIDED, StopReason.VISIT_CLOSED)
        elif lease is not None:
            return "pour_pending"
        visit.status, visit.active_tap_id = VisitStatus.CLOSED, None
        return None

    async def rearm(self, visit_id: UUID) -> Refusal:
        """`services.visits.rearm`."""
        visit = self.tables.visits[visit_id]
        if visit.status is not VisitStatus.ACTIVE:
            return "visit_not_active"
        if self.tables.serving_limit is None:
            return "no_serving_limit"
        guest = self.tables.guests[visit.guest_id]
        guest.rearms += 1
        for pour in self.tables.pours.values():
            if pour.pending and pour.granted.guest_id == guest.guest_id:
                pour.armed = guest.rearms
        return None

    async def set_alcohol(self, visit_id: UUID, allowed: bool) -> Refusal:
        """`services.visits.set_alcohol`; every guest is of age."""
        visit = self.tables.visits[visit_id]
        if visit.status is not VisitStatus.ACTIVE:
            return "visit_not_active"
        visit.alcohol_allowed = allowed
        return None

    # ── pours ───────────────────────────────────────────────────────────────

    async def reconcile(self, visit_id: UUID, volume_ml: int, pour_id: UUID | None) -> Refusal:
        """`services.pour_recovery.reconcile_pour`."""
        pour = self._find(visit_id, pour_id, or_latest=True)
        if pour is None:
            return "not_found"
        if pour.sync_status is SyncStatus.RECONCILED:
            return None if pour.volume_ml == volume_ml else "already_reconciled"
        if not pour.pending:
            return "pour_not_pending"
        changes = self.changes(pour.tap_path)
        pour_recovery.reconcile(pour_facts(self.tables, pour.granted.pour_id), volume_ml, "no report", None, changes)
        self.write(changes)
        return None

    async def unlock(self, visit_id: UUID, pour_id: UUID | None) -> Refusal:
        """`services.pour_recovery.force_unlock`."""
        pour = self._find(visit_id, pour_id)
        if pour is None:
            return "not_locked" if pour_id is None else "not_found"
        if not pour.pending:
            return "pour_not_pending"
        self._void(pour, PourEvent.UNLOCKED_BY_HAND, AuditAction.VISIT_FORCE_UNLOCK, StopReason.FORCE_UNLOCKED)
        return None

    def _find(self, visit_id: UUID, pour_id: UUID | None, *, or_latest: bool = False) -> PourRow | None:
        if pour_id is not None:
            pour = self.tables.pours.get(pour_id)
            return pour if pour is not None and pour.granted.visit_id == visit_id else None
        of_visit = [pour for pour in self.tables.pours.values() if pour.granted.visit_id == visit_id]
        pending = self.tables.lease_of_visit(visit_id)
        return pending or (max(of_visit, key=lambda pour: pour.authorized_ms, default=None) if or_latest else None)

    def _void(self, pour: PourRow, event: PourEvent, action: AuditAction, why: StopReason) -> None:
        changes = self.changes(pour.tap_path)
        pour_recovery.void(pour_facts(self.tables, pour.granted.pour_id), event, action, why, "no report", changes)
        self.write(changes)

    def _stop(self, pour: PourRow, reason: StopReason) -> None:
        pour.stop_reason = reason
        stop_pour(self.tables, pour.tap_path, pour.granted.pour_id, reason)

    # ── money ───────────────────────────────────────────────────────────────

    async def top_up(self, guest_id: UUID, amount_minor: int) -> Refusal:
        """`services.money.top_up`."""
        if self.tables.shift_id is None:
            return "shift_closed"
        self._book(AuditAction.TOP_UP, Account.CASH, Account.GUEST, guest_id, amount_minor)
        return None

    async def refund(self, guest_id: UUID, amount_minor: int) -> Refusal:
        """`services.money.refund`."""
        guest = self.tables.guests[guest_id]
        if self.tables.shift_id is None:
            return "shift_closed"
        if guest.balance_minor - guest.held_minor < amount_minor:
            return "insufficient_funds"
        if refundable_minor(guest.balance_minor - guest.held_minor, guest.house_credit_minor) < amount_minor:
            return "not_refundable"
        self._book(AuditAction.REFUND, Account.GUEST, Account.CASH, guest_id, amount_minor)
        return None

    async def comp(self, guest_id: UUID, amount_minor: int, pour_id: UUID | None = None) -> Refusal:
        """`services.money.comp`."""
        self._book(AuditAction.COMP, Account.COMP, Account.GUEST, guest_id, amount_minor, pour_id)
        return None

    async def adjust(self, guest_id: UUID, amount_minor: int, pour_id: UUID | None = None) -> Refusal:
        """`services.money.adjust`."""
        guest = self.tables.guests[guest_id]
        if amount_minor > 0:
            self._book(AuditAction.ADJUSTMENT, Account.ADJUSTMENT, Account.GUEST, guest_id, amount_minor, pour_id)
            return None
        if guest.balance_minor - guest.held_minor < -amount_minor:
            return "insufficient_funds"
        self._book(AuditAction.ADJUSTMENT, Account.GUEST, Account.ADJUSTMENT, guest_id, -amount_minor, pour_id)
        return None

    def _book(
        self,
        action: AuditAction | None,
        debit: Account,
        credit: Account,
        guest_id: UUID,
        amount_minor: int,
        pour_id: UUID | None = None,
    ) -> None:
        if not amount_minor:
            return
        changes = self.changes(None)
        taken_minor = self.tables.house_credit_taken(guest_id, pour_id) if pour_id else 0
        changes.note_house_credit(guest_id, HouseCredit(self.tables.guests[guest_id].house_credit_minor, taken_minor))
        changes.move_money(debit, credit, amount_minor, guest_id=guest_id, pour_id=pour_id)
        if action is not None:
            changes.audit(action, details={})
        self.write(changes)

    # ── taps, kegs and shifts ───────────────────────────────────────────────

    async def set_tap_status(self, tap: str, status: TapStatus) -> Refusal:
        """`services.taps.change_tap`."""
        self.tables.taps[tap].status = status
        self._send_config(tap)
        return None

    async def stop_tap(self, tap: str) -> Refusal:
        """`services.taps.stop_tap`."""
        pour = self.tables.lease_of_tap(tap)
        if pour is not None:
            self._stop(pour, StopReason.OPERATOR)
        return None

    async def put_keg(self, tap: str, keg_id: UUID, finish: KegFinish = KegFinish.SWAPPED) -> Refusal:
        """`services.taps.put_keg`."""
        before = self.tables.taps[tap].keg_id
        if before == keg_id:
            return None
        if self.tables.kegs[keg_id].finish is not None:
            return "keg_not_usable"
        if any(row.keg_id == keg_id for row in self.tables.taps.values()):
            return "keg_on_other_tap"
        if finish in FINAL:
            self.tables.kegs[before].finish = finish
            changes = self.changes(tap)
            changes.book_rest(before)
            self.write(changes)
        self.tables.taps[tap].keg_id = keg_id
        self._send_config(tap)
        return None

    async def set_price(self, price_minor: int) -> Refusal:
        """`services.beverages.change_beverage`."""
        self.tables.price_minor = price_minor
        self._send_all_configs()
        return None

    async def set_serving_limit(self, limit: ServingLimit | None) -> Refusal:
        """`services.venues.change_venue`."""
        self.tables.serving_limit = limit
        return None

    async def set_strength(self, abv_hundredths: int | None) -> Refusal:
        """`services.beverages.change_beverage`."""
        self.tables.abv_hundredths = abv_hundredths
        self._send_all_configs()
        return None

    async def set_happy_hour(self, percent_off: int | None) -> Refusal:
        """`services.price_rules`: create, change or delete the rule, then `publish_new_prices`."""
        self.tables.price_rule = always_off(percent_off) if percent_off is not None else None
        shown = shown_price(self.tables)
        for path, tap in sorted(self.tables.taps.items()):
            if tap.price_shown != shown:
                tap.price_shown = shown
                self._send_config(path)
        return None

    async def set_emergency_stop(self, *, on: bool) -> Refusal:
        """`services.venues.stop_venue` and `release_venue`."""
        self.tables.emergency_stop = on
        self._send_all_configs()
        return None

    def _send_all_configs(self) -> None:
        for tap in sorted(self.tables.taps):
            self._send_config(tap)

    def _send_config(self, tap: str) -> None:
        self.tables.taps[tap].revision += 1
        self.tables.outbox.append((tap, None))

    async def count_cash_from_next_shift(self) -> Refusal:
        """`services.venues.change_venue`."""
        self.tables.count_cash = True
        return None

    async def count_drawer(self, counted_minor: int) -> Refusal:
        """`services.shift_cash.count_drawer`."""
        if self.tables.drawer is None:
            return "cash_not_counted"
        self._count(self.tables.drawer, counted_minor, closed=False)
        return None

    async def move_cash(self, kind: CashKind, amount_minor: int) -> Refusal:
        """`services.shift_cash.book_cash`."""
        if self.tables.drawer is None:
            return "cash_not_counted"
        if kind is not CashKind.PAY_IN and amount_minor > self.tables.drawer.by_the_books.account_minor:
            return "drawer_short"
        self._move_cash(move_cash(kind, amount_minor))
        return None

    def _move_cash(self, moved: MoneyMoved) -> None:
        changes = self.changes(None)
        changes.money.append(moved)
        self.write(changes)

    def _count(self, row: DrawerRow, counted_minor: int, *, closed: bool) -> None:
        drawer = row.by_the_books
        self.tables.money += book_count(drawer, counted_minor, closed=closed)
        row.counted = (counted_minor, drawer.expected_minor)
        row.by_the_books = replace(drawer, over_short_minor=counted_minor - drawer.expected_minor)

    async def close_shift(self, counted_minor: int | None = None) -> Refusal:
        """`services.shifts.close_shift`."""
        if self.tables.shift_id is None:
            return "shift_closed"
        in_use = [visit for visit in self.tables.visits.values() if visit.status is VisitStatus.ACTIVE]
        if in_use or any(pour.pending for pour in self.tables.pours.values()):
            return "shift_in_use"
        drawer = self.tables.drawer
        if drawer is not None:
            if counted_minor is None and (drawer.counted is None or drawer.counted[1] != drawer.by_the_books.expected_minor):
                return "count_required"
            self._count(drawer, drawer.counted[0] if counted_minor is None and drawer.counted else counted_minor or 0, closed=True)
        self.tables.shift_id = self.tables.drawer = None
        return None

    async def open_shift(self, float_minor: int = 0) -> Refusal:
        """`services.shifts.open_shift`."""
        if self.tables.shift_id is not None:
            return "shift_already_open"
        self.tables.shift_id = self.new_id()
        self.tables.drawer = DrawerRow() if self.tables.count_cash else None
        for moved in put_float(float_minor):
            self._move_cash(moved)
        return None
