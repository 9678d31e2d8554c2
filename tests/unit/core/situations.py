"""Facts with any set of obstacles in them, for the rules of authorisation."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import DenyReason
from tapwire_core.domain.authorization import Facts, GuestFacts, Question, TapFacts, VisitFacts
from tapwire_core.domain.closed_sets import CardStatus, TapStatus
from tapwire_core.domain.pours import PendingPour
from tapwire_core.domain.serving_limits import Served, VolumeLimit

TAP: Final = "bar/taps/left"
OTHER_TAP: Final = "bar/taps/right"
JOURNAL: Final = UUID(int=1)
OTHER_JOURNAL: Final = UUID(int=2)
KEG: Final = UUID(int=3)
GUEST: Final = UUID(int=4)
VISIT: Final = UUID(int=5)
PENDING: Final = UUID(int=6)
SEQ: Final = 7
PRICE_MINOR: Final = 9_00
LIMIT_ML: Final = 5_000

EXCLUSIVE: Final = (
    {DenyReason.TAP_LOCKED, DenyReason.TAP_CLEANING},
    {DenyReason.CARD_UNKNOWN, DenyReason.LOST_CARD},
    {DenyReason.NO_ACTIVE_VISIT, DenyReason.VISIT_EXPIRED},
    {DenyReason.NO_ACTIVE_VISIT, DenyReason.GUEST_BLOCKED},
    {DenyReason.NO_ACTIVE_VISIT, DenyReason.AGE_RESTRICTED},
    {DenyReason.NO_ACTIVE_VISIT, DenyReason.SERVING_LIMIT_REACHED},
    {DenyReason.NO_ACTIVE_VISIT, DenyReason.CARD_IN_USE_ON_OTHER_TAP},
    {DenyReason.NO_ACTIVE_VISIT, DenyReason.INSUFFICIENT_FUNDS},
)
"""Obstacles that can't be there together: a tap has one status, a card one, and without a visit there is no guest."""


def is_possible(obstacles: Iterable[DenyReason]) -> bool:
    """Return whether these obstacles can occur together."""
    return not any(pair <= set(obstacles) for pair in EXCLUSIVE)


def question(unsettled: frozenset[UUID] = frozenset(), seq: int | None = SEQ) -> Question:
    """A card is laid on the tap."""
    return Question(TAP, UUID(int=8), "04a1b2c3", JOURNAL if seq is not None else None, seq, unsettled)


def pending(
    *, journal_id: UUID | None = JOURNAL, seq: int | None = SEQ - 1, reported: bool = False, hold_minor: int = 2_00
) -> PendingPour:
    """A pour that leases the tap."""
    return PendingPour(
        pour_id=PENDING,
        visit_id=VISIT,
        guest_id=GUEST,
        hold_minor=hold_minor,
        journal_id=journal_id,
        seq=seq,
        reported=reported,
    )


def facts(obstacles: Iterable[DenyReason], leased_by: PendingPour | None = None) -> Facts:
    """Facts in which exactly these obstacles are; `leased_by` leases the tap without being one."""
    there = frozenset(obstacles)
    no_visit, broke = DenyReason.NO_ACTIVE_VISIT in there, DenyReason.INSUFFICIENT_FUNDS in there
    return Facts(
        tap=None if DenyReason.TAP_UNKNOWN in there else _tap(there, leased_by),
        card_status=_card_status(there),
        visit=None if no_visit else _visit(there),
        guest=None
        if no_visit
        else GuestFacts(
            guest_id=GUEST,
            first_name="Ann",
            blocked=DenyReason.GUEST_BLOCKED in there,
            balance_minor=0 if broke else 50_00,
            held_minor=0,
            served=Served(used=LIMIT_ML if DenyReason.SERVING_LIMIT_REACHED in there else 0),
        ),
    )


def _tap(there: frozenset[DenyReason], leased_by: PendingPour | None) -> TapFacts:
    status = TapStatus.LOCKED if DenyReason.TAP_LOCKED in there else TapStatus.ACTIVE
    # a tap lacks its keg, or its beverage lacks a price: the latter, where the keg has to be there and empty
    unconfigured, empty = DenyReason.TAP_NOT_CONFIGURED in there, DenyReason.KEG_EMPTY in there
    return TapFacts(
        venue_id="bar",
        status=TapStatus.CLEANING if DenyReason.TAP_CLEANING in there else status,
        emergency_stop=DenyReason.EMERGENCY_STOP in there,
        max_pour_ml=1_000,
        highest_seq=SEQ if DenyReason.STALE_REQUEST in there else SEQ - 1,
        keg_id=None if unconfigured and not empty else KEG,
        keg_ml=None if unconfigured and not empty else (0 if empty else 30_000),
        beverage_id=UUID(int=9),
        beverage_name="Pils",
        beverage_style=None,
        abv_hundredths=None,
        serving_limit=VolumeLimit(limit_ml=LIMIT_ML),
        price_minor=None if unconfigured else PRICE_MINOR,
        shift_id=None if DenyReason.SHIFT_CLOSED in there else UUID(int=10),
        pending=pending(journal_id=OTHER_JOURNAL) if DenyReason.PROCESSING_SYNC in there else leased_by,
    )


def _card_status(there: frozenset[DenyReason]) -> CardStatus | None:
    if DenyReason.CARD_UNKNOWN in there:
        return None
    return CardStatus.LOST if DenyReason.LOST_CARD in there else CardStatus.BOUND


def _visit(there: frozenset[DenyReason]) -> VisitFacts:
    elsewhere = DenyReason.CARD_IN_USE_ON_OTHER_TAP in there
    return VisitFacts(
        visit_id=VISIT,
        leased_tap=OTHER_TAP if elsewhere else None,
        leased_pour_id=UUID(int=11) if elsewhere else None,
        alcohol_allowed=DenyReason.AGE_RESTRICTED not in there,
        expired=DenyReason.VISIT_EXPIRED in there,
    )
