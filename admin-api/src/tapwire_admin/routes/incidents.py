"""Incidents: list, claim and resolve."""

from typing import Literal
from uuid import UUID

from litestar import get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromPath, FromQuery, JSONBody, PageQuery, RunOnce, VenueQuery
from tapwire_admin.requests.field_types import DevicePathText, RequiredComment, SignedAmountMinor
from tapwire_admin.requests.parameters import require_found
from tapwire_contracts.reasons import IncidentKind, IncidentStatus, Resolution
from tapwire_core.db.engine import Database
from tapwire_core.db.views import incidents as views
from tapwire_core.db.views.incidents import IncidentView
from tapwire_core.db.views.queries import Page
from tapwire_core.services import incidents
from tapwire_core.services.guests import GuestErased
from tapwire_core.services.visits import PourPending


class Resolve(Struct, kw_only=True, forbid_unknown_fields=True):
    """An incident's resolution. A charge goes to the visit's guest, else to the guest of the incident's pour."""

    resolution: Resolution
    comment: RequiredComment
    amount_minor: SignedAmountMinor | None = None
    visit_id: UUID | None = None


class ResolveTogether(Struct, kw_only=True, forbid_unknown_fields=True):
    """The resolution of all incidents of one kind and tap: `no_action`, or `written_off` for what each is worth."""

    kind: IncidentKind
    tap: DevicePathText
    resolution: Literal["no_action", "written_off"]
    comment: RequiredComment


class ResolvedTogether(Struct, frozen=True, kw_only=True):
    """The number of incidents resolved, and of those left of the same kind and tap: send the request again for them."""

    resolved: int
    left: int


@get("/incidents", access=OPERATOR)
async def list_incidents(
    db: Db,
    page: PageQuery,
    status: FromQuery[IncidentStatus | None] = None,
    venue_id: VenueQuery = None,
    kind: FromQuery[IncidentKind | None] = None,
) -> Page[IncidentView]:
    """Incidents, the latest first."""
    return await views.list_incidents(db, status=status, venue_id=venue_id, kind=kind, page=page)


@get("/incidents/{incident_id:uuid}", access=OPERATOR)
async def read_incident(db: Db, incident_id: FromPath[UUID]) -> IncidentView:
    """One incident."""
    return await _view(db, incident_id)


@post(
    "/incidents/{incident_id:uuid}/claim",
    access=OPERATOR,
    status_code=200,
    refuses=(incidents.AlreadyResolved, incidents.AlreadyClaimed),
)
async def claim_incident(db: Db, actor: CurrentActor, once: RunOnce, incident_id: FromPath[UUID]) -> IncidentView:
    """Assign an incident to oneself."""
    await once(incidents.claim_incident, actor, incident_id)
    return await _view(db, incident_id)


@post(
    "/incidents/{incident_id:uuid}/resolve",
    access=SHIFT_LEAD,
    status_code=200,
    refuses=(
        incidents.AlreadyResolved,
        incidents.AmountRequired,
        incidents.GuestRequired,
        incidents.NothingToBook,
        PourPending,
        GuestErased,
    ),
)
async def resolve_incident(
    db: Db, actor: CurrentActor, once: RunOnce, incident_id: FromPath[UUID], data: JSONBody[Resolve]
) -> IncidentView:
    """Resolve an incident, and make its booking."""
    await once(
        incidents.resolve_incident,
        actor,
        incident_id,
        resolution=data.resolution,
        comment=data.comment,
        amount_minor=data.amount_minor,
        visit_id=data.visit_id,
    )
    return await _view(db, incident_id)


@post(
    "/incidents/resolve",
    access=SHIFT_LEAD,
    status_code=200,
    refuses=(incidents.AmountRequired, incidents.NothingToBook, PourPending),
)
async def resolve_incidents(actor: CurrentActor, once: RunOnce, data: JSONBody[ResolveTogether]) -> ResolvedTogether:
    """Resolve all incidents of one kind and tap, up to 500 at once."""
    ended = await once(
        incidents.resolve_incidents_of,
        actor,
        kind=data.kind,
        tap_path=data.tap,
        resolution=Resolution(data.resolution),
        comment=data.comment,
    )
    return ResolvedTogether(resolved=ended.resolved, left=ended.left)


async def _view(db: Database, incident_id: UUID) -> IncidentView:
    return require_found(await views.get_incident(db, incident_id), "incident", incident_id)


HANDLERS = (list_incidents, read_incident, claim_incident, resolve_incident, resolve_incidents)
