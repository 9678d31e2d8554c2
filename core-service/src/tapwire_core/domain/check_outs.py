"""Check-outs, as they are asked for. Pure."""

from msgspec import Struct

from tapwire_core.domain.closed_sets import PaymentMethod


class CheckOutWish(Struct, frozen=True, kw_only=True):
    """What a check-out is asked for. `payout`: how the guest is paid what is theirs; None: it stays on their account.

    `despite_incidents`: although something of the guest's pours is unpaid; then `reason` says why.
    """

    payout: PaymentMethod | None
    card_returned: bool
    despite_incidents: bool = False
    reason: str | None = None
