"""What a guest's own page shows, of the facts about one visit. Pure; nothing of it names a card, a guest or a visit by an id."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tapwire_core.domain.closed_sets import CardStatus, VisitStatus, VolumeUnit
from tapwire_core.domain.money import charge
from tapwire_core.domain.receipts import Receipt, Sums
from tapwire_core.domain.serving_limits import Allowance, counted
from tapwire_core.domain.tax import TaxRow


class Hindrance(StrEnum):
    """Why no tap at all opens for the guest now; the counter can help."""

    GUEST_BLOCKED = "guest_blocked"
    NO_CARD = "no_card"
    CARD_NOT_WORKING = "card_not_working"
    VISIT_EXPIRED = "visit_expired"


class PendingPour(Struct, frozen=True, kw_only=True):
    """The pour that a tap was granted and has not reported yet. `progress_ml`: of its node's latest progress that was stored."""

    pour_id: UUID
    tap_path: str
    tap: str
    beverage: str
    abv_hundredths: int | None
    age_ms: int
    max_volume_ml: int
    sell_price_per_liter_minor: int
    progress_ml: int | None


class PouredOnPage(Struct, frozen=True, kw_only=True):
    """A pour that was settled. `beverage`: its name."""

    beverage: str
    volume_ml: int
    sell_price_per_liter_minor: int
    amount_minor: int
    settled_at: datetime


class PageFacts(Struct, frozen=True, kw_only=True):
    """What the database says about the visit of a page."""

    visit_id: UUID
    guest_id: UUID
    venue_id: str
    venue: str
    time_zone: str
    volume_unit: VolumeUnit
    first_name: str | None
    blocked: bool
    balance_minor: int
    max_balance_minor: int | None
    card_status: CardStatus | None
    status: VisitStatus
    opened_at: datetime
    closed_at: datetime | None
    expires_at: datetime | None
    is_expired: bool
    allowance: Allowance | None
    pending: PendingPour | None
    pours: tuple[PouredOnPage, ...]


class RunningPour(Struct, frozen=True, kw_only=True):
    """A pour that a tap has begun and not reported yet. `volume_ml`, `amount_minor`: so far.

    `max_volume_ml`: at which the tap closes. `flowing`: false for one that lasts longer than any pour: its report is late.
    """

    tap: str
    beverage: str
    volume_ml: int
    amount_minor: int
    sell_price_per_liter_minor: int
    max_volume_ml: int
    flowing: bool


class ReceiptOnPage(Sums, frozen=True, kw_only=True):
    """The sums of the visit's receipt, and what was sold by rate of tax."""

    tax: tuple[TaxRow, ...]


class TopUpOffer(Struct, frozen=True, kw_only=True):
    """What the guest may pay by telephone now, in minor units."""

    min_minor: int
    max_minor: int


class GuestPageView(Struct, frozen=True, kw_only=True):
    """A guest's own page. `balance_minor`: what the account has; `remaining_minor`: less what the running pour cost so far.

    `allowance`: what the venue's serving limit leaves; null without one. `hindrance`: why no tap opens now; null when taps do.
    `pours`: those of the visit, or of its receipt. `receipt`: once the visit is closed. `expires_at`: when the page ends; null
    while the visit is active. `top_up`: what may be paid here; null where nothing may.
    """

    venue: str
    time_zone: str
    volume_unit: VolumeUnit
    currency: str
    first_name: str | None
    status: VisitStatus
    opened_at: datetime
    closed_at: datetime | None
    expires_at: datetime | None
    balance_minor: int
    remaining_minor: int
    allowance: Allowance | None
    hindrance: Hindrance | None
    pour: RunningPour | None
    pours: tuple[PouredOnPage, ...]
    receipt: ReceiptOnPage | None
    top_up: TopUpOffer | None


def show_page(
    facts: PageFacts,
    currency: str,
    longest_pour_ms: int,
    live_ml: int | None = None,
    receipt: Receipt | None = None,
    payable: TopUpOffer | None = None,
) -> GuestPageView:
    """The page of these facts. `live_ml`: what the tap says has flowed of the pending pour; `receipt`: of a closed visit.

    `payable`: what anybody may pay by telephone here; null without a payment provider.
    """
    pour = _running(facts.pending, live_ml, longest_pour_ms) if facts.pending else None
    return GuestPageView(
        venue=facts.venue,
        time_zone=facts.time_zone,
        volume_unit=facts.volume_unit,
        currency=currency,
        first_name=facts.first_name,
        status=facts.status,
        opened_at=facts.opened_at,
        closed_at=facts.closed_at,
        expires_at=facts.expires_at,
        balance_minor=facts.balance_minor,
        remaining_minor=max(facts.balance_minor - (pour.amount_minor if pour else 0), 0),
        allowance=_allowance_now(facts, pour),
        hindrance=_hindrance(facts),
        pour=pour,
        pours=tuple(_poured(its) for its in receipt.pours) if receipt else facts.pours,
        receipt=_sums(receipt) if receipt else None,
        top_up=_top_up(facts, payable) if payable else None,
    )


def _top_up(facts: PageFacts, payable: TopUpOffer) -> TopUpOffer | None:
    """What of it this guest may pay: nothing when blocked or gone, and not beyond the venue's `max_balance_minor`."""
    if facts.blocked or facts.status is not VisitStatus.ACTIVE:
        return None
    left_minor = payable.max_minor if facts.max_balance_minor is None else facts.max_balance_minor - facts.balance_minor
    most_minor = min(payable.max_minor, left_minor)
    return TopUpOffer(min_minor=payable.min_minor, max_minor=most_minor) if most_minor >= payable.min_minor else None


def _running(pending: PendingPour, live_ml: int | None, longest_pour_ms: int) -> RunningPour:
    # a device may say any number; beyond its grant the tap has closed
    flowed_ml = min(max(live_ml or 0, pending.progress_ml or 0), pending.max_volume_ml)
    return RunningPour(
        tap=pending.tap,
        beverage=pending.beverage,
        volume_ml=flowed_ml,
        amount_minor=charge(flowed_ml, pending.sell_price_per_liter_minor),
        sell_price_per_liter_minor=pending.sell_price_per_liter_minor,
        max_volume_ml=pending.max_volume_ml,
        flowing=pending.age_ms <= longest_pour_ms,
    )


def _allowance_now(facts: PageFacts, pour: RunningPour | None) -> Allowance | None:
    """The allowance, of which a pending pour takes its whole grant; here it takes what has flowed."""
    allowed, pending = facts.allowance, facts.pending
    if allowed is None or pending is None or pour is None:
        return allowed
    granted, flowed = (
        counted(allowed.measure, volume_ml, pending.abv_hundredths) for volume_ml in (pending.max_volume_ml, pour.volume_ml)
    )
    used = max(allowed.used - granted, 0) + flowed
    return replace(allowed, used=used, left=max(allowed.limit - used, 0))


def _hindrance(facts: PageFacts) -> Hindrance | None:
    if facts.status is not VisitStatus.ACTIVE:
        return None
    if facts.blocked:
        return Hindrance.GUEST_BLOCKED
    if facts.card_status is None:
        return Hindrance.NO_CARD
    if facts.card_status is not CardStatus.BOUND:
        return Hindrance.CARD_NOT_WORKING
    return Hindrance.VISIT_EXPIRED if facts.is_expired else None


def _poured(pour: Struct) -> PouredOnPage:
    """A receipt's pour without its id."""
    return msgspec.convert(pour, PouredOnPage, from_attributes=True)


def _sums(receipt: Receipt) -> ReceiptOnPage:
    """A receipt's sums without its ids."""
    return msgspec.convert(receipt, ReceiptOnPage, from_attributes=True)
