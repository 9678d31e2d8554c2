"""Incidents: a person claims one, and resolves it with a resolution and its bookings."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import AuditAction, IncidentKind, IncidentStatus, Resolution
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import moves_money, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import incidents as writes
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.incident_resolution import IncidentFacts, PayingGuest, resolve
from tapwire_core.domain.incidents import NOTHING_TO_BOOK
from tapwire_core.domain.odometers import account_on_resolution
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.guests import erased
from tapwire_core.services.visits import PourPending

MAX_TOGETHER: Final = 500
"""Incidents that one request ends."""
TOGETHER: Final = (Resolution.NO_ACTION, Resolution.WRITTEN_OFF)
"""Resolutions for several incidents at once."""
SALE_RESOLUTIONS: Final = (Resolution.CHARGED, Resolution.WRITTEN_OFF)
ON_AN_ACCOUNT: Final = (Resolution.CHARGED, Resolution.CORRECTED)
"""Resolutions that book on a guest's account."""


class AlreadyResolved(Refused):
    """The incident is resolved."""

    code = "already_resolved"


class AlreadyClaimed(Refused):
    """Another operator is handling the incident."""

    code = "already_claimed"


class NothingToBook(Refused):
    """The incident is about no money: it can only be resolved as `no_action`."""

    code = "nothing_to_book"


class AmountRequired(Invalid):
    """The resolution books an amount, and the incident has none."""

    code = "amount_required"


class GuestRequired(Invalid):
    """The resolution books on a guest's account, and neither the incident nor the request names the guest."""

    code = "guest_required"


@use_case
async def claim_incident(store: Store, actor: Actor, incident_id: UUID) -> None:
    """Assign an unassigned incident to the actor; repeating it changes nothing."""
    incident = await _lock_open(store, incident_id)
    if incident.owner == actor.name:
        return
    if incident.owner is not None:
        raise AlreadyClaimed(f"{incident.owner} is handling this incident: talk to them.", owner=incident.owner)
    await writes.claim(store, incident_id, actor)
    await store.audit(AuditAction.INCIDENT_CLAIMED, actor, incident_id, incident.tap_path, details={"kind": incident.kind})


async def _resolve(
    store: Store,
    actor: Actor,
    incident_id: UUID,
    *,
    resolution: Resolution,
    comment: str,
    amount_minor: int | None = None,
    visit_id: UUID | None = None,
) -> None:
    """Resolve an incident and make its bookings (`domain.incident_resolution`).

    `amount_minor`: the amount to charge, write off or give back; without it the unpaid worth of the incident's volume.
    `visit_id`: the visit of the guest to charge; without it the guest of the incident's pour.
    """
    await writes.lock_tap_of_gap(store, incident_id)
    guest = await writes.lock_paying_guest(store, incident_id, visit_id)
    if guest is None and visit_id is not None:
        raise NotFound("visit", visit_id)
    incident = await _lock_open(store, incident_id)
    _require_bookable(incident.kind, resolution)
    _require_settled(incident, resolution)
    if guest is not None and guest.erased and resolution in ON_AN_ACCOUNT:
        raise erased(guest.guest_id)
    amount = _amount(incident, resolution, amount_minor, guest)
    changes = Changes.by(actor, tap_path=incident.tap_path, venue_id=incident.venue_id, shift_id=incident.shift_id)
    resolve(incident, resolution, amount, guest, comment, changes)
    gap = await writes.read_gap(store, incident)
    if gap is not None:
        account_on_resolution(gap, incident_id, changes)
    await write_changes(store, changes)


resolve_incident: Final = use_case(moves_money(_resolve))


@dataclass(frozen=True, slots=True)
class EndedTogether:
    """The incidents resolved at once, and how many of the same kind and tap are left."""

    resolved: int
    left: int


@use_case
@moves_money
async def resolve_incidents_of(
    store: Store, actor: Actor, *, kind: IncidentKind, tap_path: str, resolution: Resolution, comment: str
) -> EndedTogether:
    """Resolve all unresolved incidents of one kind and tap, at most `MAX_TOGETHER`, the oldest first: all of them or none.

    With `written_off` each books its own unpaid worth. What needs a guest or an amount is for each incident alone.
    """
    if resolution not in TOGETHER:
        raise Invalid(f"Several incidents at once can be ended as {' or '.join(TOGETHER)} only.", field="resolution")
    _require_bookable(kind, resolution)
    found = await writes.lock_unresolved_of(store, kind, tap_path, MAX_TOGETHER)
    for incident_id in found.incident_ids:
        await _resolve(store, actor, incident_id, resolution=resolution, comment=comment)
    return EndedTogether(len(found.incident_ids), found.others)


def _require_bookable(kind: IncidentKind, resolution: Resolution) -> None:
    if kind in NOTHING_TO_BOOK and resolution is not Resolution.NO_ACTION:
        raise NothingToBook("There is nothing to charge or to write off here: resolve it as no_action.", kind=kind)


def _require_settled(incident: IncidentFacts, resolution: Resolution) -> None:
    """Refuse to book a sale for a pending pour: its settlement would book it a second time."""
    if incident.pour_pending and resolution in SALE_RESOLUTIONS:
        raise PourPending("Its pour has not ended yet: reconcile it, or wait for its report.", pour_ids=[incident.pour_id])


def _amount(incident: IncidentFacts, resolution: Resolution, requested_minor: int | None, guest: PayingGuest | None) -> int:
    amount_minor = incident.unpaid_minor if requested_minor is None else requested_minor
    if resolution in SALE_RESOLUTIONS and amount_minor is None:
        raise AmountRequired(
            "Say amount_minor: the incident doesn't know what its volume is worth.", incident_id=incident.incident_id
        )
    if amount_minor is not None and amount_minor < 0:
        raise Invalid("amount_minor can't be negative; `corrected` gives money back.", field="amount_minor")
    gives_back = resolution is Resolution.CORRECTED and requested_minor
    if (resolution is Resolution.CHARGED or gives_back) and guest is None:
        raise GuestRequired(
            "The incident names no guest: send visit_id, the visit of the guest to book on.", incident_id=incident.incident_id
        )
    if resolution is Resolution.CORRECTED:
        return requested_minor or 0
    return amount_minor or 0


async def _lock_open(store: Store, incident_id: UUID) -> IncidentFacts:
    incident = await writes.lock_incident(store, incident_id)
    if incident is None:
        raise NotFound("incident", incident_id)
    if incident.status is IncidentStatus.RESOLVED:
        raise AlreadyResolved("The incident is already resolved.", incident_id=incident_id)
    return incident
