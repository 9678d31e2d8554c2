"""Incidents by urgency and age: assign, and resolve with a booking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.console.choices import FIRST_CHOICES, Choice, Choices, choices_of
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.incident_labels import SEVERITIES, Severity
from tapwire_admin.console.render import done
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery, TextQuery
from tapwire_admin.requests.parameters import read_uuid, require_found
from tapwire_admin.routes.incidents import Resolve
from tapwire_contracts.reasons import IncidentKind, IncidentStatus, Resolution
from tapwire_core.db.engine import Database
from tapwire_core.db.views import incidents as views
from tapwire_core.db.views.incidents import IncidentView
from tapwire_core.db.views.pours import PourView, pours_by_id
from tapwire_core.db.views.queries import MAX_LIMIT, PageRequest
from tapwire_core.db.views.visits import get_visit, list_visits
from tapwire_core.domain import incidents as rules
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import VisitStatus
from tapwire_core.domain.shown import Noun
from tapwire_core.services import incidents
from tapwire_core.services.shown import read_shown

_PLACES: Final = {severity: place for place, severity in enumerate(Severity)}
RANKS: Final = {kind: _PLACES[severity] for kind, severity in SEVERITIES.items()}
"""The most urgent kinds have the lowest rank."""
MONEY: Final = ("amount_minor",)
STUCK: Final = frozenset({IncidentKind.SYNC_TIMEOUT, IncidentKind.JOURNAL_LOST, IncidentKind.INVALID_REPORT})
"""Kinds resolved by settling the pour in its visit."""


COUNTED: Final = frozenset({IncidentKind.DEAD_LETTER, IncidentKind.DEVICE_MISBEHAVING})
"""Kinds whose count may rise while a person resolves them."""


class IncidentDetails(Struct, frozen=True):
    """Fields of incidents' details that pages show; millilitres and minor units."""

    volume_ml: int | None = None
    over_ml: int | None = None
    max_volume_ml: int | None = None
    amount_minor: int | None = None
    payable_minor: int | None = None
    reported_volume_ml: int | None = None
    booked_volume_ml: int | None = None
    reported_value_minor: int | None = None
    booked_amount_minor: int | None = None
    why: str | None = None
    cause: str | None = None
    visit_id: str | None = None
    cleaning_due_at: datetime | None = None
    last_cleaned_at: datetime | None = None
    program: str | None = None
    instance: str | None = None
    muted: int | None = None


@dataclass(frozen=True, slots=True)
class IncidentCard:
    """An incident with its details and urgency, as a card."""

    incident: IncidentView
    severity: Severity
    details: IncidentDetails
    visit_id: UUID | None
    unpaid_minor: int | None
    """The unpaid amount: a resolution's default."""

    @property
    def is_mismatch(self) -> bool:
        """True if booked and reported volume differ."""
        return self.details.booked_volume_ml is not None and self.details.reported_volume_ml is not None

    @property
    def suggested_minor(self) -> int | None:
        """The proposed amount: the unpaid amount, or what the guest overpaid."""
        details = self.details
        if not self.unpaid_minor and details.reported_value_minor is not None and details.booked_amount_minor is not None:
            return max(details.booked_amount_minor - details.reported_value_minor, 0)
        return self.unpaid_minor


@get("/attention", access=OPERATOR)
async def show_attention(
    db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery, tap: TextQuery = None
) -> Response[str]:
    """Unresolved incidents, of one tap where it is named."""
    return viewer.show("incidents.html", shell=shell, **await _unresolved(db, viewer.required_venue.venue_id, page, tap))


@get("/parts/attention", access=OPERATOR)
async def show_list(db: Db, viewer: CurrentViewer, page: PageQuery, tap: TextQuery = None) -> Response[str]:
    """The list of unresolved incidents, of one tap where it is named."""
    return viewer.show("parts/incidents.html", **await _unresolved(db, viewer.required_venue.venue_id, page, tap))


@get("/attention/resolved", access=OPERATOR)
async def show_resolved(db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery) -> Response[str]:
    """Resolved incidents."""
    resolved = await views.list_incidents(db, status=IncidentStatus.RESOLVED, venue_id=viewer.required_venue.venue_id, page=page)
    return viewer.show("resolved_incidents.html", shell=shell, page=resolved)


@post("/attention/{incident_id:uuid}/claim", access=OPERATOR)
async def claim(viewer: CurrentViewer, actor: CurrentActor, form: Form, incident_id: FromPath[UUID]) -> Response[str]:
    """Assign an incident to the operator."""
    await form.once(incidents.claim_incident, actor, incident_id)
    return done(viewer.translate(N_("Assigned to you.")), changed=["incident"])


@get("/attention/{incident_id:uuid}/resolve", access=SHIFT_LEAD)
async def ask_to_resolve(db: Db, viewer: CurrentViewer, incident_id: FromPath[UUID]) -> Response[str]:
    """The form of a resolution."""
    shown = await read_shown(db, Noun.INCIDENT, incident_id)
    incident = require_found(await views.get_incident(db, incident_id), "incident", incident_id)
    if incident.kind in COUNTED:
        shown = shown.only("status", "owner")
    alike = await views.count_unresolved_of(db, incident.kind, incident.tap) if incident.tap else 1
    (card,) = await _cards(db, [incident])
    return viewer.show(
        "dialogs/resolve_incident.html",
        shown=shown,
        card=card,
        visits=await _visit_choices(db, viewer, incident_id, None, card.visit_id),
        resolutions=[Resolution.NO_ACTION] if incident.kind in rules.NOTHING_TO_BOOK else list(Resolution),
        others=alike - 1,
    )


@get("/attention/{incident_id:uuid}/visits", access=SHIFT_LEAD)
async def search_visits(
    db: Db, viewer: CurrentViewer, incident_id: FromPath[UUID], search: TextQuery = None, visit_id: TextQuery = None
) -> Response[str]:
    """Open visits that match the typed text, and the chosen one."""
    chosen = read_uuid("visit_id", visit_id) if visit_id else None
    return viewer.show("parts/choices.html", choices=await _visit_choices(db, viewer, incident_id, search, chosen))


@post("/attention/{incident_id:uuid}/resolve", access=SHIFT_LEAD, shows=Noun.INCIDENT)
async def resolve(viewer: CurrentViewer, actor: CurrentActor, form: Form, incident_id: FromPath[UUID]) -> Response[str]:
    """Resolve an incident and make its booking, or with a ticked box all of its kind and tap."""
    given = form.read(Resolve, money=MONEY)
    if form.flag("together"):
        return await _resolve_together(viewer, actor, form, incident_id, given)
    books = given.resolution is not Resolution.NO_ACTION
    if books and given.amount_minor is not None:
        form.require_usual(given.amount_minor)
    await form.once(
        incidents.resolve_incident,
        actor,
        incident_id,
        resolution=given.resolution,
        comment=given.comment,
        amount_minor=given.amount_minor if books else None,
        visit_id=given.visit_id if given.resolution in (Resolution.CHARGED, Resolution.CORRECTED) else None,
    )
    return done(viewer.translate(N_("The incident is resolved.")), changed=["incident"])


async def _resolve_together(viewer: Viewer, actor: Actor, form: SubmittedForm, incident_id: UUID, given: Resolve) -> Response[str]:
    incident = require_found(await views.get_incident(form.db, incident_id), "incident", incident_id)
    ended = await form.once(
        incidents.resolve_incidents_of,
        actor,
        kind=incident.kind,
        tap_path=incident.tap or "",
        resolution=given.resolution,
        comment=given.comment,
    )
    text = viewer.translate(N_("Resolved: %(resolved)s. Left: %(left)s.")) % {"resolved": ended.resolved, "left": ended.left}
    return done(text, changed=["incident"])


async def _visit_choices(db: Database, viewer: Viewer, incident_id: UUID, search: str | None, chosen: UUID | None) -> Choices:
    here = await list_visits(
        db, venue_id=viewer.required_venue.venue_id, status=VisitStatus.ACTIVE, search=search or None, page=FIRST_CHOICES
    )
    return choices_of(
        "visit_id",
        f"/attention/{incident_id}/visits",
        here,
        lambda visit: Choice(str(visit.visit_id), visit.guest_name, viewer.formats.money(visit.available_minor)),
        chosen=await get_visit(db, chosen) if chosen else None,
        none=viewer.translate(N_("no visit")),
    )


async def _unresolved(db: Database, venue_id: str, page: PageRequest, tap: str | None) -> dict[str, Any]:
    """A page of the unresolved incidents, the most urgent first, then the oldest. `tap`: the path of the only one to list."""
    wanted = msgspec.structs.replace(page, limit=MAX_LIMIT)
    found = await views.list_unresolved(db, venue_id, RANKS, wanted, tap)
    return {"page": found, "cards": await _cards(db, found.items), "cursor": page.cursor, "tap": tap}


async def _cards(db: Database, shown: Sequence[IncidentView]) -> list[IncidentCard]:
    pour_ids = {incident.pour_id for incident in shown if incident.pour_id}
    pours = {pour.pour_id: pour for pour in await pours_by_id(db, pour_ids)}
    sales = {pour.pour_id: pour.sales_minor for pour in await views.sales_of_pours(db, pour_ids)}
    return [_explain(incident, pours, sales) for incident in shown]


def _explain(incident: IncidentView, pours: Mapping[UUID, PourView], sales: Mapping[UUID, int]) -> IncidentCard:
    details = _read_details(incident.details)
    own = rules.own_pour(incident.kind, incident.pour_id)
    pour = pours.get(own) if own else None
    visit_id = UUID(details.visit_id) if details.visit_id else pour.visit_id if pour else None
    unpaid_minor = rules.unpaid_minor(incident.kind, incident.details, sales.get(own, 0) if own else 0)
    return IncidentCard(incident, SEVERITIES[incident.kind], details, visit_id, unpaid_minor)


def _read_details(details: dict[str, Any]) -> IncidentDetails:
    """Read an incident's details; empty if unreadable, since devices write parts of them."""
    try:
        return msgspec.convert(details, IncidentDetails, strict=False)
    except msgspec.ValidationError:
        return IncidentDetails()


HANDLERS = (show_attention, show_list, show_resolved, claim, ask_to_resolve, search_visits, resolve)
