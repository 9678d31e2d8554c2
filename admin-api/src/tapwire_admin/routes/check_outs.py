"""Check-out: the end of a guest's stay in one request."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, operator_of
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromPath, JSONBody, RunOnce
from tapwire_admin.requests.field_types import Reason
from tapwire_core.domain.check_outs import CheckOutWish
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.receipts import Receipt
from tapwire_core.errors import ReasonRequired, RoleRequired
from tapwire_core.services import check_outs, visits
from tapwire_core.services.guests import GuestErased
from tapwire_core.services.money import RefundLimit, ShiftClosed
from tapwire_core.services.receipts import get_receipt

REFUSALS: Final = (
    visits.PourPending,
    visits.VisitNotActive,
    visits.VisitAlreadyActive,
    ReasonRequired,
    check_outs.IncidentOpen,
    check_outs.CardNotReturnable,
    check_outs.AlreadyCheckedOut,
    ShiftClosed,
    RefundLimit,
    RoleRequired,
    GuestErased,
)


class Payout(Struct, kw_only=True, forbid_unknown_fields=True):
    """How the guest is paid."""

    method: PaymentMethod


class CheckOut(Struct, kw_only=True, forbid_unknown_fields=True):
    """The end of a guest's stay. `payout` null: the balance stays on the account. `card_returned`: the card lies on the counter.

    `despite_incidents`: although something of the guest's pours is unpaid; needs a shift lead and `reason`.
    """

    payout: Payout | None
    card_returned: bool
    despite_incidents: bool = False
    reason: Reason | None = None

    @property
    def wish(self) -> CheckOutWish:
        """What the use case is asked for."""
        return CheckOutWish(
            payout=self.payout.method if self.payout else None,
            card_returned=self.card_returned,
            despite_incidents=self.despite_incidents,
            reason=self.reason,
        )


@post("/visits/{visit_id:uuid}/check-out", access=OPERATOR, status_code=200, refuses=REFUSALS)
async def check_out(
    request: Request[Any, Any, Any],
    db: Db,
    actor: CurrentActor,
    once: RunOnce,
    visit_id: FromPath[UUID],
    data: JSONBody[CheckOut],
) -> Receipt:
    """Give the deposit back, pay out or keep, free the card and close the visit, all or nothing; answers the receipt.

    The same again gives the same answer.
    """
    await once(check_outs.check_out, actor, visit_id, data.wish, operator_of(request).role, db.scope)
    return await get_receipt(db, visit_id)


HANDLERS = (check_out,)
