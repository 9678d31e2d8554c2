"""Top-ups, refunds, adjustments, and a guest's ledger."""

from typing import Any
from uuid import UUID

from litestar import Request, get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD, operator_of
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromPath, JSONBody, MovementInPath, OwnVenue, PageQuery, RunOnce
from tapwire_admin.requests.field_types import AmountMinor, Reason, SignedAmountMinor, Slug
from tapwire_admin.routes.guests import require_guest
from tapwire_core.db.views import money as views
from tapwire_core.db.views.money import LedgerEntry
from tapwire_core.db.views.queries import Page
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.services import money
from tapwire_core.services.guests import GuestErased
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


class Comp(Struct, kw_only=True, forbid_unknown_fields=True):
    """Money that the house gives a guest."""

    amount_minor: AmountMinor
    reason: Reason
    pour_id: UUID | None = None
    venue_id: Slug | None = None


class Reversal(Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason for which a top-up is taken back."""

    reason: Reason


@get("/guests/{guest_id:uuid}/ledger", access=OPERATOR)
async def read_ledger(db: Db, guest_id: FromPath[UUID], page: PageQuery) -> Page[LedgerEntry]:
    """The movements of a guest's account, the newest first."""
    await require_guest(db, guest_id)
    return await views.list_ledger(db, guest_id, page)


@post(
    "/guests/{guest_id:uuid}/top-ups", access=OPERATOR, key_required=True, refuses=(money.ShiftClosed, VenueRequired, GuestErased)
)
async def top_up(
    actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], own_venue: OwnVenue, data: JSONBody[TopUp]
) -> Booking:
    """Take a guest's money."""
    return await once(money.top_up, actor, guest_id, data.amount_minor, data.method, data.venue_id or own_venue)


@post(
    "/guests/{guest_id:uuid}/refunds",
    access=SHIFT_LEAD,
    key_required=True,
    refuses=(money.ShiftClosed, money.InsufficientFunds, money.NotRefundable, VenueRequired, GuestErased),
)
async def refund(
    actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], own_venue: OwnVenue, data: JSONBody[Refund]
) -> Booking:
    """Give a guest money back, at most what is refundable: house credit is not."""
    return await once(money.refund, actor, guest_id, data.amount_minor, data.method, data.reason, data.venue_id or own_venue)


@post(
    "/guests/{guest_id:uuid}/adjustments",
    access=SHIFT_LEAD,
    key_required=True,
    refuses=(money.InsufficientFunds, money.NotTheGuestsPour, GuestErased),
)
async def adjust(db: Db, actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], data: JSONBody[Adjustment]) -> Booking:
    """Correct a balance up or down."""
    return await once(money.adjust, actor, guest_id, data.amount_minor, data.reason, data.pour_id, db.scope)


@post(
    "/guests/{guest_id:uuid}/comps",
    access=SHIFT_LEAD,
    key_required=True,
    refuses=(money.NotTheGuestsPour, GuestErased),
)
async def comp(
    db: Db, actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], own_venue: OwnVenue, data: JSONBody[Comp]
) -> Booking:
    """Give a guest money of the house: it is poured before the guest's own, and not paid out."""
    venue_id = data.venue_id or (None if data.pour_id else own_venue)
    return await once(money.comp, actor, guest_id, data.amount_minor, data.reason, data.pour_id, venue_id, db.scope)


@post(
    "/guests/{guest_id:uuid}/top-ups/{movement_id:int}/reverse",
    access=OPERATOR,
    refuses=(money.NotReversible, money.AlreadyReversed, money.ShiftClosed, money.NotRefundable, GuestErased),
)
async def reverse_top_up(
    request: Request[Any, Any, Any],
    actor: CurrentActor,
    once: RunOnce,
    guest_id: FromPath[UUID],
    movement_id: MovementInPath,
    data: JSONBody[Reversal],
) -> Booking:
    """Take a top-up back, whole and once, in its own shift; later than ten minutes, or of others, a shift lead does."""
    return await once(money.reverse_top_up, actor, operator_of(request).role, guest_id, movement_id, data.reason)


HANDLERS = (
    read_ledger,
    top_up,
    refund,
    adjust,
    comp,
    reverse_top_up,
)
