"""Visits: opening, cards, closing, and recovery of a pour without a report."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD, operator_of, require_role
from tapwire_admin.requests.dependencies import (
    CardInPath,
    CurrentActor,
    Db,
    FromPath,
    FromQuery,
    JSONBody,
    OwnVenue,
    PageQuery,
    RunOnce,
    VenueQuery,
)
from tapwire_admin.requests.field_types import CardUid, Comment, MoreHours, Patrons, PouredMl, Reason, Slug
from tapwire_admin.requests.parameters import require_found
from tapwire_contracts.card_uid import CardUidProblem
from tapwire_core.db.engine import Database
from tapwire_core.db.views import pours as pour_views
from tapwire_core.db.views import visits as visit_views
from tapwire_core.db.views.pours import PourDetail
from tapwire_core.db.views.queries import Page
from tapwire_core.db.views.visits import VisitView
from tapwire_core.domain.closed_sets import VisitStatus
from tapwire_core.errors import NotFound, ReasonRequired
from tapwire_core.services import pour_recovery, visits
from tapwire_core.services.cards import (
    BindConflict,
    CardBusy,
    CardUidInvalid,
    CardUidRandom,
    LostCard,
    Stage,
    card_warnings,
    read_card_uid,
)
from tapwire_core.services.guests import GuestErased
from tapwire_core.services.money import InsufficientFunds, ShiftClosed
from tapwire_core.services.venues import VenueRequired

DEFAULT_REASON: Final = "visit closed"
"""Default reason for voiding a pending pour."""
OPENING: Final = (
    NotFound,
    VenueRequired,
    ShiftClosed,
    visits.VisitAlreadyActive,
    visits.GuestBlocked,
    visits.GuestUnderage,
    ReasonRequired,
    GuestErased,
)
"""Refusals of opening a visit."""
ISSUING: Final = (BindConflict, CardBusy, LostCard, CardUidRandom, CardUidInvalid, InsufficientFunds)
"""Refusals of assigning a card."""


class NewVisit(Struct, kw_only=True, forbid_unknown_fields=True):
    """A visit without a card yet.

    `alcohol_allowed`: by the guest's age where it is not given; true for a guest under age is refused. `reason`: required for more
    patrons than the guest's last visit had, within the serving limit's window.
    """

    guest_id: UUID
    venue_id: Slug | None = None
    patrons: Patrons = 1
    alcohol_allowed: bool | None = None
    reason: Reason | None = None

    @property
    def party(self) -> visits.Party:
        """Who drinks on it."""
        return visits.Party(patrons=self.patrons, alcohol_allowed=self.alcohol_allowed, reason=self.reason)


class NewVisitWithCard(NewVisit, kw_only=True, forbid_unknown_fields=True):
    """A visit and the card for it; the other fields are those of a visit without a card."""

    card_uid: CardUid


class Rearm(Struct, kw_only=True, forbid_unknown_fields=True):
    """Why a guest at the serving limit may go on."""

    reason: Reason


class Alcohol(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether a visit gets alcohol, and why that changes."""

    allowed: bool
    reason: Reason


class Extension(Struct, kw_only=True, forbid_unknown_fields=True):
    """How much longer a visit lasts."""

    hours: MoreHours


class CardForVisit(Struct, kw_only=True, forbid_unknown_fields=True):
    """The card for a visit."""

    card_uid: CardUid


class ReconcilePour(Struct, kw_only=True, forbid_unknown_fields=True):
    """The volume by an operator's estimate; `pour_id` defaults to the visit's pending pour, else its latest."""

    volume_ml: PouredMl
    reason: Reason
    comment: Comment | None = None
    pour_id: UUID | None = None


class ForceUnlock(Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason for voiding a pour."""

    reason: Reason
    pour_id: UUID | None = None


class CloseVisit(Struct, kw_only=True, forbid_unknown_fields=True):
    """Options of closing; `void_pending` voids the pending pour, and needs a shift lead. `pour_id`: the expected pending pour."""

    void_pending: bool = False
    pour_id: UUID | None = None
    reason: Reason | None = None


class OpenedVisitView(Struct, frozen=True, kw_only=True):
    """The visit, the stages that happened (`bound` or `already_bound`, then `assigned`), and warnings about the card."""

    visit: VisitView
    stages: tuple[Stage, ...]
    warnings: tuple[CardUidProblem, ...] = ()


@get("/visits", access=OPERATOR)
async def list_visits(
    db: Db,
    page: PageQuery,
    status: FromQuery[VisitStatus | None] = None,
    stuck: FromQuery[bool] = False,
    venue_id: VenueQuery = None,
    guest_id: FromQuery[UUID | None] = None,
) -> Page[VisitView]:
    """Visits, the latest first; `stuck`: those that need a person."""
    return await visit_views.list_visits(db, status=status, stuck=stuck, venue_id=venue_id, guest_id=guest_id, page=page)


@post("/visits", access=OPERATOR, refuses=OPENING)
async def open_visit(db: Db, actor: CurrentActor, once: RunOnce, own_venue: OwnVenue, data: JSONBody[NewVisit]) -> VisitView:
    """Open a visit; its card comes with `assign-card`."""
    return await _view(db, await once(visits.open_visit, actor, data.venue_id or own_venue, data.guest_id, data.party))


@post("/visits/open-and-assign-card", access=OPERATOR, refuses=(*OPENING, *ISSUING))
async def open_and_assign_card(
    db: Db, actor: CurrentActor, once: RunOnce, own_venue: OwnVenue, data: JSONBody[NewVisitWithCard]
) -> OpenedVisitView:
    """Open a visit and assign its card, both or neither; a repeat gets the same visit and answer."""
    opened = await once(visits.open_and_assign_card, actor, data.venue_id or own_venue, data.guest_id, data.card_uid, data.party)
    return OpenedVisitView(visit=await _view(db, opened.visit_id), stages=opened.stages, warnings=card_warnings(data.card_uid))


@get("/visits/active/by-card/{card_uid:str}", access=OPERATOR)
async def read_active_visit_by_card(db: Db, card_uid: CardInPath) -> VisitView:
    """The active visit that holds a card."""
    return require_found(await visit_views.get_active_visit_by_card(db, read_card_uid(card_uid)), "active visit of card", card_uid)


@get("/visits/{visit_id:uuid}", access=OPERATOR)
async def read_visit(db: Db, visit_id: FromPath[UUID]) -> VisitView:
    """One visit, with its pending pour."""
    return await _view(db, visit_id)


@post(
    "/visits/{visit_id:uuid}/assign-card",
    access=OPERATOR,
    status_code=200,
    refuses=(*ISSUING, visits.VisitNotActive, visits.GuestBlocked, GuestErased),
)
async def assign_card(
    db: Db, actor: CurrentActor, once: RunOnce, visit_id: FromPath[UUID], data: JSONBody[CardForVisit]
) -> OpenedVisitView:
    """Assign a card to an active visit; it replaces the current one."""
    assigned = await once(visits.assign_card, actor, visit_id, data.card_uid)
    return OpenedVisitView(visit=await _view(db, visit_id), stages=assigned.stages)


@post(
    "/visits/{visit_id:uuid}/rearm",
    access=OPERATOR,
    status_code=200,
    refuses=(visits.VisitNotActive, visits.NoServingLimit, GuestErased),
)
async def rearm(db: Db, actor: CurrentActor, once: RunOnce, visit_id: FromPath[UUID], data: JSONBody[Rearm]) -> VisitView:
    """Let a guest go on who was looked at: the serving limit counts anew, for the guest at the whole venue."""
    return await _view(db, await once(visits.rearm, actor, visit_id, data.reason))


@post(
    "/visits/{visit_id:uuid}/alcohol",
    access=OPERATOR,
    status_code=200,
    refuses=(visits.VisitNotActive, visits.GuestUnderage, GuestErased),
)
async def set_alcohol(db: Db, actor: CurrentActor, once: RunOnce, visit_id: FromPath[UUID], data: JSONBody[Alcohol]) -> VisitView:
    """Allow alcohol on a visit, or refuse it; it is never allowed to a guest under age."""
    return await _view(db, await once(visits.set_alcohol, actor, visit_id, allowed=data.allowed, reason=data.reason))


@post("/visits/{visit_id:uuid}/extend", access=OPERATOR, status_code=200, refuses=(visits.VisitNotActive, GuestErased))
async def extend(db: Db, actor: CurrentActor, once: RunOnce, visit_id: FromPath[UUID], data: JSONBody[Extension]) -> VisitView:
    """Let a visit last longer, from the later of its end and now; one without an end stays so."""
    return await _view(db, await once(visits.extend, actor, visit_id, data.hours))


@post(
    "/visits/{visit_id:uuid}/reconcile-pour",
    access=SHIFT_LEAD,
    status_code=200,
    refuses=(pour_recovery.PourNotPending, pour_recovery.AlreadyReconciled, GuestErased),
)
async def reconcile_pour(
    db: Db, actor: CurrentActor, once: RunOnce, visit_id: FromPath[UUID], data: JSONBody[ReconcilePour]
) -> PourDetail:
    """Settle a pending pour by hand, when its report never came."""
    pour_id = await once(
        pour_recovery.reconcile_pour,
        actor,
        visit_id,
        volume_ml=data.volume_ml,
        reason=data.reason,
        comment=data.comment,
        pour_id=data.pour_id,
    )
    return require_found(await pour_views.get_pour(db, pour_id), "pour", pour_id)


@post(
    "/visits/{visit_id:uuid}/force-unlock",
    access=SHIFT_LEAD,
    status_code=200,
    refuses=(pour_recovery.NotLocked, pour_recovery.PourNotPending, GuestErased),
)
async def force_unlock(
    db: Db, actor: CurrentActor, once: RunOnce, visit_id: FromPath[UUID], data: JSONBody[ForceUnlock]
) -> VisitView:
    """Void a pending pour: nothing is charged, hold and leases are freed."""
    await once(pour_recovery.force_unlock, actor, visit_id, reason=data.reason, pour_id=data.pour_id)
    return await _view(db, visit_id)


@post(
    "/visits/{visit_id:uuid}/close",
    access=OPERATOR,
    status_code=200,
    refuses=(visits.PourPending, pour_recovery.PourNotPending, GuestErased),
)
async def close_visit(
    request: Request[Any, Any, Any],
    db: Db,
    actor: CurrentActor,
    once: RunOnce,
    visit_id: FromPath[UUID],
    data: JSONBody[CloseVisit | None] = None,
) -> VisitView:
    """Close a visit; a pending pour needs `void_pending`."""
    wanted = data or CloseVisit()
    if wanted.void_pending:
        require_role(operator_of(request), SHIFT_LEAD)
        await once(visits.void_and_close_visit, actor, visit_id, wanted.pour_id, wanted.reason or DEFAULT_REASON)
    else:
        await once(visits.close_visit, actor, visit_id, wanted.pour_id)
    return await _view(db, visit_id)


async def _view(db: Database, visit_id: UUID) -> VisitView:
    return require_found(await visit_views.get_visit(db, visit_id), "visit", visit_id)


HANDLERS = (
    list_visits,
    open_visit,
    open_and_assign_card,
    read_active_visit_by_card,
    read_visit,
    assign_card,
    rearm,
    set_alcohol,
    extend,
    reconcile_pour,
    force_unlock,
    close_visit,
)
