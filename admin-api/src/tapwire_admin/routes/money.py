"""Top-ups, refunds, adjustments, and a guest's ledger."""

from uuid import UUID

from litestar import get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromPath, JSONBody, OwnVenue, PageQuery, RunOnce
from tapwire_admin.requests.field_types import AmountMinor, Reason, SignedAmountMinor, Slug
from tapwire_admin.routes.guests import require_guest
from tapwire_core.db.views import money as views
from tapwire_core.db.views.money import LedgerEntry
from tapwire_core.db.views.queries import Page
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.services import money
from tapwire_core.services.money import Booking
from tapwire_core.services.venues import VenueRequired


class TopUp(Struct, kw_only=True, forbid_unknown_fields=True):
    """Money that a guest pays in."""

    amount_minor: AmountMinor
    method: PaymentMethod
    venue_id: Slug | None = None


class Refund(Struct, kw_only=True, forbid_unknown_fields=True):
    """Money that a guest gets back."""

    amount_minor: AmountMinor
    method: PaymentMethod
    reason: Reason
    venue_id: Slug | None = None


class Adjustment(Struct, kw_only=True, forbid_unknown_fields=True):
    """A correction of a balance."""

    amount_minor: SignedAmountMinor
    reason: Reason
    pour_id: UUID | None = None


@get("/guests/{guest_id:uuid}/ledger", access=OPERATOR)
async def read_ledger(db: Db, guest_id: FromPath[UUID], page: PageQuery) -> Page[LedgerEntry]:
    """The movements of a guest's account, the newest first."""
    await require_guest(db, guest_id)
    return await views.list_ledger(db, guest_id, page)


@post("/guests/{guest_id:uuid}/top-ups", access=OPERATOR, key_required=True, refuses=(money.ShiftClosed, VenueRequired))
async def top_up(
    actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], own_venue: OwnVenue, data: JSONBody[TopUp]
) -> Booking:
    """Take a guest's money."""
    return await once(money.top_up, actor, guest_id, data.amount_minor, data.method, data.venue_id or own_venue)


@post(
    "/guests/{guest_id:uuid}/refunds",
    access=SHIFT_LEAD,
    key_required=True,
    refuses=(money.ShiftClosed, money.InsufficientFunds, VenueRequired),
)
async def refund(
    actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], own_venue: OwnVenue, data: JSONBody[Refund]
) -> Booking:
    """Give a guest money back, at most what is available."""
    return await once(money.refund, actor, guest_id, data.amount_minor, data.method, data.reason, data.venue_id or own_venue)


@post(
    "/guests/{guest_id:uuid}/adjustments",
    access=SHIFT_LEAD,
    key_required=True,
    refuses=(money.InsufficientFunds, money.NotTheGuestsPour),
)
async def adjust(db: Db, actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], data: JSONBody[Adjustment]) -> Booking:
    """Correct a balance up or down."""
    return await once(money.adjust, actor, guest_id, data.amount_minor, data.reason, data.pour_id, db.scope)


HANDLERS = (
    read_ledger,
    top_up,
    refund,
    adjust,
)
