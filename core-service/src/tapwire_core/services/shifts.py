"""Shifts: opening, closing, and the Z report that sums one up for good."""

from typing import Final
from uuid import UUID, uuid4

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Shift
from tapwire_core.db.writes import shifts as writes
from tapwire_core.domain.actor import Actor
from tapwire_core.errors import Refused
from tapwire_core.services.money import ShiftClosed
from tapwire_core.services.venues import resolve_venue

MAX_LISTED: Final = 100
"""How many visits and how many pours a refused close names."""


class ShiftAlreadyOpen(Refused):
    """The venue has an open shift."""

    code = "shift_already_open"


class ShiftInUse(Refused):
    """Visits are active or pours pending."""

    code = "shift_in_use"


@use_case
async def open_shift(store: Store, actor: Actor, venue_id: str | None = None) -> UUID:
    """Open the venue's shift."""
    venue_id = await resolve_venue(store, venue_id)
    running = await writes.open_shift_id(store, venue_id)
    if running is not None:
        raise ShiftAlreadyOpen("The venue's shift is open already.", shift_id=running)
    shift_id = uuid4()
    await store.insert(Shift, shift_id=shift_id, venue_id=venue_id, opened_by=actor.name)
    await store.audit(AuditAction.SHIFT_OPENED, actor, shift_id, venue_id)
    return shift_id


@use_case
async def close_shift(store: Store, actor: Actor, venue_id: str | None = None) -> UUID:
    """Close the venue's shift; refused, with the list of them, while visits are active or pours pending."""
    venue_id = await resolve_venue(store, venue_id)
    shift_id = await writes.lock_open_shift(store, venue_id)
    if shift_id is None:
        raise ShiftClosed(f"Venue {venue_id!r} has no open shift.", venue_id=venue_id)
    visits = await writes.active_visits(store, venue_id, MAX_LISTED)
    pours = await writes.pending_pours(store, venue_id, MAX_LISTED)
    if visits or pours:
        raise ShiftInUse(
            "Visits are active or pours pending: close them first.", active_visits=visits, pending_pours=pours, listed=MAX_LISTED
        )
    await writes.close_shift(store, actor, shift_id)
    await store.audit(AuditAction.SHIFT_CLOSED, actor, shift_id, venue_id)
    return shift_id
