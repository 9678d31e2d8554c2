"""Authorisation of a pour: the ordered rules of SYSTEM.md, "Authorisation".

Pure: facts in, decision out. The first rule that fails gives the reason; the order of RULES is the order of precedence.
Each names its id, under which `tapwire-conformance` tries it.

A question also proves something about older ones. A node asks only when it neither pours nor counts a tail, journals a grant before
it opens the valve, and lists a journalled pour as unsettled until its verdict. So an earlier pour of the same tap and journal that
is not listed, and has no report, never started and never can. It is voided before the rules run, also when they deny. Questions of
one journal prove nothing about another journal's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.messages import CardPresented
from tapwire_contracts.reasons import DenyReason
from tapwire_core.domain.closed_sets import CardStatus, TapStatus
from tapwire_core.domain.money import affordable_ml, charge
from tapwire_core.domain.pours import PendingPour
from tapwire_core.domain.price_rules import Price, PriceRulesNow, price_now
from tapwire_core.domain.serving_limits import EthanolLimit, Served, ServingLimit, left_ml


class TapFacts(Struct, frozen=True, kw_only=True):
    """The tap with its venue, keg and beverage. `highest_seq`: the highest `seq` decided for the question's journal.

    `highest_boot_id`: the boot that asked it. `seq_taken`: another question of the journal has this question's `seq`.
    `set_back`, `suspected`: this question's boot is proved, or suspected, to have an older copy of its journal.
    `odometer_seen_ml`: the highest known value of the journal's odometer. `identity_conflict`: two nodes use the tap's login.
    `price_minor`: the list price; `price_rules`: those of the venue for the tap's beverage, null if there are none.
    `abv_hundredths`: the beverage's strength, in hundredths of a per cent; `tax_rate_bp`: its tax, in basis points.
    `serving_limit`: the venue's.
    """

    venue_id: str
    status: TapStatus
    emergency_stop: bool
    max_pour_ml: int
    highest_seq: int
    keg_id: UUID | None
    keg_ml: int | None
    beverage_id: UUID | None
    beverage_name: str | None
    beverage_style: str | None
    abv_hundredths: int | None
    price_minor: int | None
    shift_id: UUID | None
    pending: PendingPour | None
    highest_boot_id: UUID | None = None
    seq_taken: bool = False
    set_back: bool = False
    suspected: bool = False
    odometer_seen_ml: int | None = None
    identity_conflict: bool = False
    serving_limit: ServingLimit | None = None
    price_rules: PriceRulesNow | None = None
    tax_rate_bp: int | None = None

    @property
    def price(self) -> Price | None:
        """The price per litre now; None for a tap without a keg, or a beverage without a price."""
        if self.price_minor is None or self.beverage_id is None:
            return None
        return price_now(self.price_minor, self.beverage_id, self.price_rules)


class VisitFacts(Struct, frozen=True, kw_only=True):
    """The active visit that holds the card. `leased_tap`: the tap of its pending pour. `patrons`: people who drink on it.

    `expired`: its `valid_until` has passed.
    """

    visit_id: UUID
    leased_tap: str | None
    leased_pour_id: UUID | None
    patrons: int = 1
    alcohol_allowed: bool = True
    expired: bool = False


class GuestFacts(Struct, frozen=True, kw_only=True):
    """The guest of that visit. `served`: what counts against the venue's serving limit; null without one."""

    guest_id: UUID
    first_name: str
    blocked: bool
    balance_minor: int
    held_minor: int
    served: Served | None = None


class Facts(Struct, frozen=True, kw_only=True):
    """The facts for one question, read under row locks."""

    tap: TapFacts | None
    card_status: CardStatus | None
    visit: VisitFacts | None
    guest: GuestFacts | None

    @property
    def rows(self) -> frozenset[UUID]:
        """Ids of the visits, guests and kegs in these facts: another decision on one of them may change the answer."""
        tap, visit, guest = self.tap, self.visit, self.guest
        ids = [visit.visit_id if visit else None, guest.guest_id if guest else None, tap.keg_id if tap else None]
        if tap is not None and tap.pending is not None:
            ids += [tap.pending.visit_id, tap.pending.guest_id]
        return frozenset(row_id for row_id in ids if row_id is not None)


@dataclass(frozen=True, slots=True)
class Question:
    """A card's request to pour at a tap. Journal, boot and `seq` are null at a tap without a journal (the HTTP door)."""

    tap_path: str
    event_id: UUID
    card_uid: str
    journal_id: UUID | None
    seq: int | None
    unsettled: frozenset[UUID]
    boot_id: UUID | None = None

    @classmethod
    def of_node(cls, tap_path: str, presented: CardPresented) -> "Question":
        """Make a question from a tap node's `card_presented`."""
        return cls(
            tap_path,
            presented.event_id,
            presented.card_uid,
            presented.journal_id,
            presented.seq,
            frozenset(presented.unsettled),
            presented.boot_id,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """The rules' view of a question and its facts; `never_started`: the pour that the question proves never started."""

    question: Question
    facts: Facts
    never_started: PendingPour | None

    @property
    def tap(self) -> TapFacts:
        """The tap; the rules after `tap_unknown` may rely on it."""
        assert self.facts.tap is not None
        return self.facts.tap

    @property
    def price(self) -> Price:
        """The price now; the rules after `tap_not_configured` may rely on it."""
        price = self.tap.price
        assert price is not None
        return price

    @property
    def price_minor(self) -> int:
        """The price per litre now; the rules after `tap_not_configured` may rely on it."""
        return self.price.minor

    @property
    def keg_ml(self) -> int:
        """The keg's book volume; the rules after `tap_not_configured` may rely on it."""
        assert self.tap.keg_ml is not None
        return self.tap.keg_ml

    @property
    def guest(self) -> GuestFacts:
        """The guest; the rules after `no_active_visit` may rely on it."""
        assert self.facts.guest is not None
        return self.facts.guest

    @property
    def is_expired(self) -> bool:
        """True if the visit's time is over."""
        visit = self.facts.visit
        return visit is not None and visit.expired

    @property
    def available_minor(self) -> int:
        """The guest's available amount: balance less holds, without the hold of a pour proved never started."""
        freed = self.never_started
        freed_minor = freed.hold_minor if freed and freed.guest_id == self.guest.guest_id else 0
        return self.guest.balance_minor - self.guest.held_minor + freed_minor

    @property
    def is_strength_missing(self) -> bool:
        """True if the venue's limit counts ethanol, and the beverage's strength is not known."""
        return isinstance(self.tap.serving_limit, EthanolLimit) and self.tap.abv_hundredths is None

    @property
    def is_alcohol_refused(self) -> bool:
        """True if the beverage may have alcohol, and the visit gets none."""
        visit = self.facts.visit
        return visit is not None and not visit.alcohol_allowed and self.tap.abv_hundredths != 0

    @property
    def allowance_left_ml(self) -> int | None:
        """The most that the serving limit leaves of the tap's beverage; None without a limit, or without alcohol.

        A pour proved never started does not count.
        """
        tap, visit, guest = self.facts.tap, self.facts.visit, self.facts.guest
        if tap is None or tap.serving_limit is None or visit is None or guest is None or guest.served is None:
            return None
        if self.is_strength_missing:
            return None
        freed = self.never_started
        used = guest.served.used - (guest.served.of_pending if freed and freed.guest_id == guest.guest_id else 0)
        return left_ml(tap.serving_limit, visit.patrons, used, self.tap.abv_hundredths)

    @property
    def is_limit_reached(self) -> bool:
        """True if the serving limit leaves less than a millilitre."""
        allowed_ml = self.allowance_left_ml
        return allowed_ml is not None and allowed_ml < 1

    @property
    def leased_elsewhere(self) -> bool:
        """True if another tap's pour holds the visit."""
        visit = self.facts.visit
        return visit is not None and visit.leased_tap not in (None, self.question.tap_path)

    @property
    def tap_leased(self) -> bool:
        """True if a pour that may have started holds the tap."""
        return self.tap.pending is not None and self.never_started is None


RULES: Final[tuple[tuple[DenyReason, Callable[[Case], bool]], ...]] = (
    (DenyReason.TAP_UNKNOWN, lambda case: case.facts.tap is None),  # AUTH-1
    (DenyReason.STALE_REQUEST, lambda case: case.question.seq is not None and case.question.seq <= case.tap.highest_seq),  # AUTH-2
    (DenyReason.EMERGENCY_STOP, lambda case: case.tap.emergency_stop),  # AUTH-3
    (DenyReason.TAP_LOCKED, lambda case: case.tap.status is TapStatus.LOCKED or case.tap.identity_conflict),  # AUTH-4
    (DenyReason.TAP_CLEANING, lambda case: case.tap.status is TapStatus.CLEANING),  # AUTH-4
    (
        DenyReason.TAP_NOT_CONFIGURED,  # AUTH-5
        lambda case: case.tap.keg_id is None or case.tap.price_minor is None or case.is_strength_missing,
    ),
    (DenyReason.KEG_EMPTY, lambda case: case.keg_ml <= 0),  # AUTH-6
    (DenyReason.SHIFT_CLOSED, lambda case: case.tap.shift_id is None),  # AUTH-7
    (DenyReason.CARD_UNKNOWN, lambda case: case.facts.card_status is None),  # AUTH-8
    (DenyReason.LOST_CARD, lambda case: case.facts.card_status in (CardStatus.LOST, CardStatus.RETIRED)),  # AUTH-9
    (DenyReason.NO_ACTIVE_VISIT, lambda case: case.facts.visit is None or case.facts.guest is None),  # AUTH-10
    (DenyReason.VISIT_EXPIRED, lambda case: case.is_expired),  # AUTH-11
    (DenyReason.GUEST_BLOCKED, lambda case: case.guest.blocked),  # AUTH-12
    (DenyReason.AGE_RESTRICTED, lambda case: case.is_alcohol_refused),  # AUTH-13
    (DenyReason.CARD_IN_USE_ON_OTHER_TAP, lambda case: case.leased_elsewhere),  # AUTH-14
    (DenyReason.PROCESSING_SYNC, lambda case: case.tap_leased),  # AUTH-15
    (DenyReason.SERVING_LIMIT_REACHED, lambda case: case.is_limit_reached),  # AUTH-16
    (DenyReason.INSUFFICIENT_FUNDS, lambda case: affordable_ml(case.available_minor, case.price_minor) < 1),  # AUTH-17
)


@dataclass(frozen=True, slots=True)
class Granted:
    """The pour may start: its volume limit, its hold, and the price that it will be settled at, with the rule that makes it."""

    max_volume_ml: int
    hold_minor: int
    price_minor: int
    price_rule_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The pour may not start."""

    reason: DenyReason


class SetBackEvidence(Enum):
    """What a question says about its node's journal."""

    NONE = auto()
    POSSIBLE = auto()
    """An old `seq`, in another boot than the highest one's: a question that was delayed, or a journal that was set back."""
    PROOF = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, the older pour of this tap that the question proves never started, and what it says about its node's journal.

    `allowance_left_ml`: what the serving limit leaves of the tap's beverage before this answer; null without a limit, or without
    alcohol.
    """

    answer: Granted | Denied
    never_started: PendingPour | None
    evidence: SetBackEvidence
    allowance_left_ml: int | None = None


def authorize(question: Question, facts: Facts) -> Decision:
    """Decide whether a pour may start and how much may flow; never raises for a refusal."""
    evidence = evidence_of_set_back(question, facts)
    never_started = pour_never_started(question, facts, evidence)
    case = Case(question, facts, never_started)
    for reason, fails in RULES:
        if fails(case):
            return Decision(Denied(reason), never_started, evidence, case.allowance_left_ml)
    price, allowed_ml = case.price, case.allowance_left_ml
    most_ml = (affordable_ml(case.available_minor, price.minor), case.keg_ml, case.tap.max_pour_ml)
    max_volume_ml = min(most_ml if allowed_ml is None else (*most_ml, allowed_ml))
    hold_minor = charge(max_volume_ml, price.minor)
    granted = Granted(max_volume_ml, hold_minor, price.minor, price.rule.price_rule_id if price.rule else None)
    return Decision(granted, never_started, evidence, allowed_ml)


def evidence_of_set_back(question: Question, facts: Facts) -> SetBackEvidence:
    """Judge whether the journal was set back to an older copy (SYSTEM.md, "Conclusions from a device's own word").

    An honest node writes a `seq` to its disk before it asks, and asks one question with it. So two questions with one `seq` in two
    boots prove it, in whatever order they come; an old `seq` that no other question has may be a delayed question.
    """
    tap = facts.tap
    if tap is None or question.seq is None or question.boot_id is None or question.seq > tap.highest_seq:
        return SetBackEvidence.NONE
    if tap.set_back:
        return SetBackEvidence.PROOF
    if tap.highest_boot_id in (None, question.boot_id):
        return SetBackEvidence.NONE
    return SetBackEvidence.PROOF if tap.seq_taken else SetBackEvidence.POSSIBLE


def pour_never_started(question: Question, facts: Facts, evidence: SetBackEvidence) -> PendingPour | None:
    """The tap's pending pour, if this question proves that it never started and never can."""
    pending = facts.tap.pending if facts.tap else None
    if pending is None or question.seq is None or pending.seq is None or evidence is not SetBackEvidence.NONE:
        return None
    proved = (
        pending.journal_id == question.journal_id
        and pending.seq < question.seq
        and pending.pour_id not in question.unsettled
        and not pending.reported
    )
    return pending if proved else None
