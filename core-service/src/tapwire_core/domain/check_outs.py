"""Check-outs, as they are asked for, and what is known before. Pure."""

from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import IncidentKind
from tapwire_core.domain.closed_sets import PaymentMethod


class CheckOutWish(Struct, frozen=True, kw_only=True):
    """What a check-out is asked for. `payout`: how the guest is paid what is theirs; None: it stays on their account.

    `despite_incidents`: although something of the guest's pours is unpaid; then `reason` says why.
    """

    payout: PaymentMethod | None
    card_returned: bool
    despite_incidents: bool = False
    reason: str | None = None


class Unpaid(Struct, frozen=True, kw_only=True):
    """An incident whose volume is not paid. `incident_id`: null for one of a venue that the reader does not have."""

    incident_id: UUID | None
    kind: IncidentKind
    amount_minor: int


class Preview(Struct, frozen=True, kw_only=True):
    """What a check-out would do now. `returnable`: the visit has a card to give back, with `deposit_minor` on it.

    `payout_minor`: what would be paid out with the card, `payout_without_card_minor` without it; `house_credit_minor` is not.
    `paid_online_minor`: so much of a payout goes back through the payment provider.
    """

    returnable: bool
    deposit_minor: int
    house_credit_minor: int
    payout_minor: int
    payout_without_card_minor: int
    paid_online_minor: int
    unpaid: tuple[Unpaid, ...]
