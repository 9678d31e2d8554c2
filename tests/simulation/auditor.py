"""An auditor who was not told the rules.

It knows what physically flowed, what was paid over the counter, which card lay on which tap when a valve opened, what was granted
to whom at the price list of that moment, and what an operator typed. At quiet time it compares that with the books, and names
everything that differs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import IncidentKind, SyncStatus
from tapwire_core.domain.closed_sets import KegFinish
from tapwire_core.domain.serving_limits import ServingLimit, VolumeLimit
from tests.simulation.books.interface import PourLine, Statement

TOLERANCE_ML = 5
"""A late report may differ this much from what an operator typed without anybody being told."""
LEAK_ML = 5
"""What flows through a closed valve becomes a fact from here on; less than this has no fact when a disk is set back."""
ETHANOL_MG_PER_ML: Final = 789
OVERPOUR_ML = 50
"""A pour may go this far over its grant before the valve counts as broken."""


REST_KINDS: Final = {KegFinish.KICKED: "yield_loss", KegFinish.SPOILED: "spoiled", KegFinish.RETURNED: "returned"}


class Wrong(StrEnum):
    """Kinds of findings."""

    BOOKED_TWICE = "more left the kegs in the books than flowed"
    NOT_BOOKED = "less left the kegs in the books than flowed"
    WRONG_VOLUME = "a pour has another volume than what flowed in it"
    WRONG_KEG = "a pour was booked out of another keg than that of its grant"
    FREE_POUR = "what was granted and flowed was charged to nobody"
    OVERCHARGED = "a guest paid for more than flowed by a grant of theirs"
    MONEY_LOST = "an account is not what was paid in less what was charged"
    NEGATIVE = "an account holds more than it has"
    HOUSE_CREDIT = "house credit is more than the house gave, or than there is"
    DEPOSIT = "cards keep another deposit than was taken for them"
    KEG_REST = "the rest of a finished keg is not booked as what became of it"
    DRAWER = "a drawer has not what went in and out, or its difference is another one"
    TWO_LEASES = "two pours hold one tap or one visit"
    TWO_ANSWERS = "the same report was answered in two ways"
    NOT_GRANTED = "a valve opened without a grant for the card that lay there"
    STUCK = "something can't be ended"
    OVER_LIMIT = "a guest was granted more than the serving limit leaves"
    MISCOUNTED = "what counts against a serving limit is not what was poured"
    ALCOHOL = "a visit without alcohol was granted some"
    NOBODY_TOLD = "a person should have been told"
    FALSE_ALARM = "a person was told of something that did not happen"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, and where."""

    wrong: Wrong
    where: str

    def __str__(self) -> str:
        return f"{self.wrong}: {self.where}"


@dataclass(frozen=True, slots=True)
class GrantSeen:
    """A grant, as it was given."""

    guest_id: UUID
    tap: str
    card_uid: str
    keg_id: UUID
    price_minor: int
    max_volume_ml: int


@dataclass(slots=True)
class Flowed:
    """Volume of a pour in ml: while its valve was open, for a moment after, and the part that a power cut made the meter forget."""

    open_ml: int = 0
    tail_ml: int = 0
    forgotten_ml: int = 0


@dataclass(slots=True)
class TapSeen:
    """Volume of a tap in all, the part that a power cut made the meter forget, and its kegs.

    `set_backs`: how often its disk was set back. `journal_lost`: facts were lost with it, or with a disk.
    """

    metered_ml: int = 0
    forgotten_ml: int = 0
    since_cut_ml: int = 0
    kegs: set[UUID] = field(default_factory=set)
    journal_lost: bool = False
    set_backs: int = 0
    latest_pour: UUID | None = None


@dataclass(slots=True)
class Auditor:
    """Watches, and judges at quiet time."""

    keg_ml: int
    max_forgotten_ml: int
    taps: dict[str, TapSeen] = field(default_factory=dict)
    grants: dict[UUID, GrantSeen] = field(default_factory=dict)
    flowed_in: dict[UUID, Flowed] = field(default_factory=dict)
    typed_ml: dict[UUID, int] = field(default_factory=dict)
    limit: ServingLimit | None = None
    since_rearm: dict[UUID, set[UUID]] = field(default_factory=dict)
    ended_by_hand: set[UUID] = field(default_factory=set)
    paid_minor: dict[UUID, int] = field(default_factory=dict)
    given_minor: dict[UUID, int] = field(default_factory=dict)
    drawer_minor: int | None = None
    uncounted_minor: int = 0
    over_minor: int = 0
    forgotten: set[UUID] = field(default_factory=set)
    finished: dict[UUID, KegFinish] = field(default_factory=dict)
    verdicts: dict[tuple[UUID, int, int], str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def find(self, wrong: Wrong, where: object) -> None:
        """Note something wrong."""
        self.findings.append(Finding(wrong, str(where)))

    # ── what is seen ────────────────────────────────────────────────────────

    def keg_hung(self, tap: str, keg_id: UUID) -> None:
        """A keg was put on a tap."""
        self.taps.setdefault(tap, TapSeen()).kegs.add(keg_id)

    def keg_finished(self, keg_id: UUID, finish: KegFinish) -> None:
        """A keg came off its tap for good."""
        self.finished[keg_id] = finish

    def flowed(self, tap: str, volume_ml: int, open_for: UUID | None, tail_of: UUID | None) -> None:
        """Beer went through a meter."""
        seen = self.taps[tap]
        seen.metered_ml += volume_ml
        seen.since_cut_ml += volume_ml
        if open_for is not None:
            self.flowed_in[open_for].open_ml += volume_ml
        elif tail_of is not None:
            self.flowed_in[tail_of].tail_ml += volume_ml

    def valve_opened(self, tap: str, pour_id: UUID, card_uid: str | None) -> None:
        """A node opened its valve."""
        grant = self.grants.get(pour_id)
        if grant is None or (grant.tap, grant.card_uid) != (tap, card_uid) or pour_id in self.flowed_in:
            self.find(Wrong.NOT_GRANTED, f"{tap} for {pour_id}, card {card_uid}")
        self.flowed_in[pour_id] = Flowed()
        self.taps[tap].latest_pour = pour_id

    def power_cut(self, tap: str, odometer_ml: int) -> None:
        """The power failed; the node's disk says that this much has gone through the meter since its journal began."""
        seen = self.taps[tap]
        forgotten_ml = seen.since_cut_ml - odometer_ml
        if not 0 <= forgotten_ml <= self.max_forgotten_ml:
            self.find(Wrong.NOT_BOOKED, f"{tap}: a power cut made {forgotten_ml} ml be forgotten")
        seen.since_cut_ml = odometer_ml
        seen.forgotten_ml += forgotten_ml
        if seen.latest_pour is not None:
            self.flowed_in[seen.latest_pour].forgotten_ml += forgotten_ml

    def journal_lost(self, tap: str) -> None:
        """A node's disk was replaced."""
        self.taps[tap].journal_lost, self.taps[tap].since_cut_ml = True, 0

    def disk_set_back(self, tap: str, odometer_ml: int, forgotten: set[UUID]) -> None:
        """A node's disk was set back to an older image; these facts without a verdict were nowhere else."""
        seen = self.taps[tap]
        self.forgotten |= forgotten
        seen.set_backs, seen.since_cut_ml = seen.set_backs + 1, odometer_ml
        seen.journal_lost = seen.journal_lost or bool(forgotten)

    def granted(self, pour_id: UUID, price_minor: int, card_uid: str, after: Statement) -> None:
        """A grant was committed, when the price list said this; the books right after it."""
        line = after.pours[pour_id]
        self.grants[pour_id] = GrantSeen(line.guest_id, line.tap_path, card_uid, line.keg_id, price_minor, line.max_volume_ml)
        if line.price_minor != price_minor:
            self.find(Wrong.OVERCHARGED, f"pour {pour_id} was granted at {line.price_minor}, the list says {price_minor}")
        if line.keg_id not in self.taps[line.tap_path].kegs:
            self.find(Wrong.WRONG_KEG, f"pour {pour_id}")
        self._judge_limit(pour_id, line, after)
        pending = [other for other in after.pours.values() if other.sync_status == SyncStatus.PENDING_SYNC]
        taps, guests = [other.tap_path for other in pending], [other.guest_id for other in pending]
        if len(set(taps)) < len(taps) or len(set(guests)) < len(guests):
            self.find(Wrong.TWO_LEASES, f"after pour {pour_id} at {line.tap_path} was granted")
        self._look_at_accounts(after)
        self._look_at_finished_kegs(after)

    def limit_set(self, limit: ServingLimit | None) -> None:
        """The venue has another serving limit, or none."""
        self.limit = limit

    def rearmed(self, guest_id: UUID, books: Statement) -> None:
        """A member of staff looked at a guest, and let them go on."""
        its = [(pour_id, line) for pour_id, line in books.pours.items() if line.guest_id == guest_id]
        self.since_rearm[guest_id] = {pour_id for pour_id, line in its if line.sync_status == SyncStatus.PENDING_SYNC}

    def _judge_limit(self, pour_id: UUID, line: PourLine, after: Statement) -> None:
        """Look at a grant: whether the guest may have alcohol, and so much of it."""
        counted = self.since_rearm.setdefault(line.guest_id, set())
        visit = next(visit for visit in after.visits.values() if visit.guest_id == line.guest_id and visit.status == "active")
        if line.abv_hundredths != 0 and not visit.alcohol_allowed:
            self.find(Wrong.ALCOHOL, f"pour {pour_id}")
        if self.limit is not None and line.abv_hundredths != 0:
            left = self.limit.amount * visit.patrons - sum(self._counts(after.pours[key]) for key in counted)
            if self._measure(line.max_volume_ml, line.abv_hundredths) > left:
                self.find(Wrong.OVER_LIMIT, f"pour {pour_id} may have {line.max_volume_ml} ml, {left} was left")
        counted.add(pour_id)

    def _counts(self, line: PourLine) -> Decimal:
        most_ml = max(line.stock_ml, line.max_volume_ml) if line.sync_status == SyncStatus.PENDING_SYNC else line.stock_ml
        return self._measure(most_ml, line.abv_hundredths)

    def _measure(self, volume_ml: int, abv_hundredths: int | None) -> Decimal:
        if abv_hundredths == 0:
            return Decimal(0)
        if isinstance(self.limit, VolumeLimit):
            return Decimal(volume_ml)
        share = Decimal(10_000 if abv_hundredths is None else abv_hundredths) / 10_000
        return (volume_ml * share * ETHANOL_MG_PER_ML).quantize(Decimal(1), ROUND_HALF_UP)

    def answered(self, pour_id: UUID, stretch: tuple[int, int], verdict: str) -> None:
        """A report of a pour was answered, for the first time or again."""
        if self.verdicts.setdefault((pour_id, *stretch), verdict) != verdict:
            self.find(Wrong.TWO_ANSWERS, f"report of pour {pour_id}: {verdict}")

    def paid(self, guest_id: UUID, amount_minor: int) -> None:
        """Money went over the counter; negative when it went back."""
        self.paid_minor[guest_id] = self.paid_minor.get(guest_id, 0) + amount_minor

    def cash_moved(self, amount_minor: int) -> None:
        """Cash went into the drawer, or out of it, whoever paid it."""
        if self.drawer_minor is None:
            self.uncounted_minor += amount_minor
        else:
            self.drawer_minor += amount_minor

    def shift_opened(self, float_minor: int | None) -> None:
        """A shift began; with a float it counts its cash."""
        self.drawer_minor = float_minor

    def shift_closed(self, counted_minor: int | None) -> None:
        """A shift ended, and so much was counted in its drawer."""
        if self.drawer_minor is not None:
            self.over_minor += (counted_minor or 0) - self.drawer_minor
        self.drawer_minor = None

    def given(self, guest_id: UUID, amount_minor: int) -> None:
        """The house gave a guest money to pour."""
        self.given_minor[guest_id] = self.given_minor.get(guest_id, 0) + amount_minor
        self.paid(guest_id, amount_minor)

    def ended(self, pour_id: UUID, typed_ml: int | None = None) -> None:
        """An operator ended a pour, perhaps with a volume."""
        self.ended_by_hand.add(pour_id)
        if typed_ml is not None:
            self.typed_ml[pour_id] = typed_ml

    # ── what is judged ──────────────────────────────────────────────────────

    def judge(self, books: Statement) -> None:
        """Compare the books with what was seen; at quiet time."""
        for pour_id, line in books.pours.items():
            self._judge_volume(pour_id, line, books)
            self._judge_charge(pour_id, line)
            self._judge_end(pour_id, line, books)
        self._judge_kegs(books)
        self._look_at_finished_kegs(books)
        self._look_at_accounts(books)
        for guest_id, served in books.served.items():
            counted = sum(self._counts(books.pours[pour_id]) for pour_id in self.since_rearm.get(guest_id, ()))
            if served != counted:
                self.find(Wrong.MISCOUNTED, f"guest {guest_id}: {served}, poured {counted}")
        for guest_id, account in books.guests.items():
            charged_minor = sum(line.amount_minor for line in books.pours.values() if line.guest_id == guest_id)
            kept_minor = books.deposits.get(guest_id, 0)
            if self._moved(books, guest_id, "guest", "deposit") - self._moved(books, guest_id, "deposit", None) != kept_minor:
                self.find(Wrong.DEPOSIT, f"guest {guest_id}: cards keep {kept_minor}")
            deposited_minor = kept_minor + self._moved(books, guest_id, "deposit", "deposit_forfeited")
            if account.balance_minor != self.paid_minor.get(guest_id, 0) - charged_minor - deposited_minor:
                self.find(Wrong.MONEY_LOST, f"guest {guest_id} has {account.balance_minor}, charged {charged_minor}")
        for of_house, has_minor in (("cash", self.uncounted_minor), ("over_short", -self.over_minor)):
            if (found_minor := self._balance(books, of_house)) != has_minor:
                self.find(Wrong.DRAWER, f"{of_house} is {found_minor}, should be {has_minor}")
        accused = (
            IncidentKind.ODOMETER_REWOUND,
            IncidentKind.ODOMETER_MISMATCH,
            IncidentKind.INVALID_REPORT,
            IncidentKind.IDENTITY_CONFLICT,
        )
        for kind, cause in books.incidents:
            if kind == IncidentKind.JOURNAL_SET_BACK:
                is_true = any(seen.set_backs and tap in cause for tap, seen in self.taps.items())
            else:
                is_true = kind not in (*accused, IncidentKind.MISSING_PENDING, IncidentKind.DEAD_LETTER) or (
                    kind in accused and any(seen.set_backs and tap in cause for tap, seen in self.taps.items())
                )
            if not is_true:
                self.find(Wrong.FALSE_ALARM, f"{kind} {cause}")

    @staticmethod
    def _balance(books: Statement, account: str) -> int:
        sides = ((line.amount_minor, line.debit_account, line.credit_account) for line in books.money.elements())
        return sum(minor * ((debit == account) - (credit == account)) for minor, debit, credit in sides)

    @staticmethod
    def _moved(books: Statement, guest_id: UUID, debit: str, credit: str | None) -> int:
        its = (line for line in books.money.elements() if (line.guest_id, line.debit_account) == (guest_id, debit))
        return sum(line.amount_minor for line in its if credit in (None, line.credit_account))

    def _judge_volume(self, pour_id: UUID, line: PourLine, books: Statement) -> None:
        flowed, typed_ml = self.flowed_in.get(pour_id), self.typed_ml.get(pour_id, 0)
        if flowed is None:
            possible = line.stock_ml in (0, typed_ml)
        elif self.taps[line.tap_path].journal_lost:
            possible = line.stock_ml <= max(flowed.open_ml + flowed.tail_ml, typed_ml)
        else:
            possible = flowed.open_ml - flowed.forgotten_ml <= line.stock_ml <= flowed.open_ml + flowed.tail_ml
        if not possible:
            self.find(Wrong.WRONG_VOLUME, f"pour {pour_id}: {flowed} flowed, {typed_ml} typed, {line.stock_ml} booked")
        for stock in books.stock:
            if stock.cause_id == pour_id and stock.keg_id != self.grants[pour_id].keg_id:
                self.find(Wrong.WRONG_KEG, f"pour {pour_id}")

    def _judge_charge(self, pour_id: UUID, line: PourLine) -> None:
        grant, flowed = self.grants[pour_id], self.flowed_in.get(pour_id, Flowed())
        most_ml = max(self.typed_ml.get(pour_id, 0), flowed.open_ml + flowed.tail_ml)
        if line.amount_minor > _worth(most_ml, grant.price_minor) or line.guest_id != grant.guest_id:
            self.find(Wrong.OVERCHARGED, f"pour {pour_id} of {most_ml} ml cost {line.amount_minor}")
        is_sold = line.sync_status in (SyncStatus.SYNCED, SyncStatus.RECONCILED)
        due_minor = _worth(line.volume_ml, grant.price_minor) if is_sold else 0
        if line.amount_minor + line.loss_minor != due_minor:
            self.find(Wrong.FREE_POUR, f"pour {pour_id}: {line}")
        if line.loss_minor and line.volume_ml <= grant.max_volume_ml and pour_id not in self.ended_by_hand:
            self.find(Wrong.FREE_POUR, f"pour {pour_id} stayed within its grant and was not paid in full: {line}")

    def _judge_end(self, pour_id: UUID, line: PourLine, books: Statement) -> None:
        flowed = self.flowed_in.get(pour_id, Flowed())
        by_hand, surely_ml = pour_id in self.ended_by_hand, flowed.open_ml - flowed.forgotten_ml
        told = {kind for kind, cause in books.incidents if str(pour_id) in cause}
        match SyncStatus(line.sync_status):
            case SyncStatus.PENDING_SYNC:
                self.find(Wrong.STUCK, f"pour {pour_id} is still pending")
            case SyncStatus.VOIDED if surely_ml > 0 and not by_hand and pour_id not in self.forgotten:
                self.find(Wrong.FREE_POUR, f"pour {pour_id}: {surely_ml} ml flowed, and it was voided")
            case SyncStatus.RECONCILED | SyncStatus.VOIDED:
                if abs(line.stock_ml - line.volume_ml) > TOLERANCE_ML and IncidentKind.LATE_MISMATCH not in told:
                    self.find(Wrong.NOBODY_TOLD, f"pour {pour_id}: {line.volume_ml} ml by hand, {line.stock_ml} ml flowed")
            case SyncStatus.REJECTED | SyncStatus.SYNCED:
                far_over = line.volume_ml > self.grants[pour_id].max_volume_ml + OVERPOUR_ML
                if far_over and not told & {IncidentKind.OVERPOUR, IncidentKind.REJECTED_INSUFFICIENT_FUNDS}:
                    self.find(Wrong.NOBODY_TOLD, f"pour {pour_id} ran far over its grant")
                if line.sync_status == SyncStatus.REJECTED and not far_over:
                    self.find(Wrong.FREE_POUR, f"pour {pour_id} was rejected within its grant")
            case SyncStatus.VOIDED:
                pass

    def _judge_kegs(self, books: Statement) -> None:
        for taps, kegs in self._groups():
            seen = [self.taps[tap] for tap in taps]
            never_opened = [
                line.stock_ml for key, line in books.pours.items() if line.tap_path in taps and key not in self.flowed_in
            ]
            flowed_ml = sum(tap.metered_ml - tap.forgotten_ml for tap in seen) + sum(never_opened)
            rests_ml = sum(
                line.volume_ml * times
                for line, times in books.stock.items()
                if line.keg_id in kegs and line.kind in REST_KINDS.values()
            )
            booked_ml = sum(self.keg_ml - books.kegs[keg_id] for keg_id in kegs) - rests_ml
            typed_ml = sum(ml for key, ml in self.typed_ml.items() if books.pours[key].tap_path in taps)
            journal_lost = any(tap.journal_lost for tap in seen)
            uncounted_ml = 2 * LEAK_ML * sum(tap.set_backs for tap in seen)
            if booked_ml > flowed_ml + (typed_ml if journal_lost else 0):
                self.find(Wrong.BOOKED_TWICE, f"{taps}: {booked_ml} ml booked, {flowed_ml} ml flowed")
            if booked_ml < flowed_ml - uncounted_ml and not journal_lost:
                self.find(Wrong.NOT_BOOKED, f"{taps}: {booked_ml} ml booked, {flowed_ml} ml flowed")

    def _look_at_finished_kegs(self, books: Statement) -> None:
        """A finished keg has nothing left, at any moment at which no pour of its is pending: what became of the rest is booked."""
        for keg_id, finish in self.finished.items():
            if any(line.keg_id == keg_id and line.sync_status == SyncStatus.PENDING_SYNC for line in books.pours.values()):
                continue
            lines = [(line, times) for line, times in books.stock.items() if line.keg_id == keg_id]
            rest_ml = sum(line.volume_ml * times for line, times in lines if line.kind == REST_KINDS[finish])
            others = {line.kind for line, _ in lines} & (set(REST_KINDS.values()) - {REST_KINDS[finish]})
            flowed_ml = sum(line.volume_ml * times for line, times in lines if line.kind not in REST_KINDS.values())
            if books.kegs[keg_id] != 0 or rest_ml != self.keg_ml - flowed_ml or others:
                left_ml = books.kegs[keg_id]
                self.find(Wrong.KEG_REST, f"{finish} keg {keg_id}: {left_ml} ml left, {rest_ml} ml of rest, {flowed_ml} ml flowed")

    def _groups(self) -> Iterator[tuple[set[str], set[UUID]]]:
        """Taps that had kegs in common, with all their kegs: what flowed at the ones came out of the others."""
        left = dict(self.taps)
        while left:
            tap, seen = left.popitem()
            taps, kegs = {tap}, set(seen.kegs)
            while found := [other for other in left if left[other].kegs & kegs]:
                for other in found:
                    taps.add(other)
                    kegs |= left.pop(other).kegs
            yield taps, kegs

    def _look_at_accounts(self, books: Statement) -> None:
        for guest_id, account in books.guests.items():
            pending = [line for line in books.pours.values() if line.sync_status == SyncStatus.PENDING_SYNC]
            holds_minor = sum(line.hold_minor for line in pending if line.guest_id == guest_id)
            if not account.balance_minor >= account.held_minor == holds_minor >= 0:
                self.find(Wrong.NEGATIVE, f"guest {guest_id} has {account}, pours hold {holds_minor}")
            # nothing else is spent before it, and nothing of it is paid out
            has_minor = account.balance_minor + books.deposits.get(guest_id, 0)
            if not 0 <= account.house_credit_minor <= min(has_minor, self.given_minor.get(guest_id, 0)):
                self.find(Wrong.HOUSE_CREDIT, f"guest {guest_id} has {account}, was given {self.given_minor.get(guest_id, 0)}")


def _worth(volume_ml: int, price_minor: int) -> int:
    """The price of a volume, rounded half up: the auditor's own formula, not the core's."""
    whole, rest = divmod(volume_ml * price_minor, 1_000)
    return whole + (1 if rest * 2 >= 1_000 else 0)
