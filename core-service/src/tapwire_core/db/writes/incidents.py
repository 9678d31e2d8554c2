"""Incidents: locks, facts and the owner, for people who resolve them."""

from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.reasons import IncidentKind
from tapwire_core.db.store import Store
from tapwire_core.db.writes.guests import house_credit_taken
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.house_credit import HouseCredit
from tapwire_core.domain.incident_resolution import IncidentFacts, PayingGuest
from tapwire_core.domain.incidents import own_pour
from tapwire_core.domain.odometers import IncidentHole

_gap: Final = msgspec.json.Decoder(IncidentHole)
_facts: Final = msgspec.json.Decoder(IncidentFacts)


async def lock_incident(store: Store, incident_id: UUID) -> IncidentFacts | None:
    """Lock an incident's pour, so that its other incidents wait, then the incident; None when there is no such incident."""
    pour_id = await _own_pour(store, incident_id)
    await store.connection.execute("SELECT FROM pours WHERE pour_id = $1 FOR NO KEY UPDATE", pour_id)
    await store.connection.execute("SELECT FROM incidents WHERE incident_id = $1 FOR NO KEY UPDATE", incident_id)
    # a separate statement, to see what was booked during the wait for the locks
    found = await store.connection.fetchval(
        """SELECT jsonb_build_object(
               'incident_id', incident_id, 'kind', kind, 'status', incidents.status, 'venue_id', incidents.venue_id,
               'tap_path', incidents.tap_path, 'owner', owner, 'details', details, 'pour_id', pours.pour_id,
               'pour_pending', coalesce(pours.sync_status = 'pending_sync', false),
               'shift_id', (
                   SELECT shift_id FROM shifts
                   WHERE shifts.venue_id = incidents.venue_id AND shifts.status = 'open' FOR SHARE),
               'sales_minor', (
                   SELECT coalesce(sum(amount_minor), 0) FROM money_movements
                   WHERE money_movements.pour_id = pours.pour_id AND credit_account = 'sales'))
           FROM incidents LEFT JOIN pours ON pours.pour_id = $2
           WHERE incident_id = $1""",
        incident_id,
        pour_id,
    )
    return _facts.decode(found) if found else None


class UnresolvedOf(Struct, frozen=True):
    """Unresolved incidents of one kind and tap, the oldest first, and the number of others."""

    incident_ids: tuple[UUID, ...]
    others: int


async def lock_unresolved_of(store: Store, kind: IncidentKind, tap_path: str, limit: int) -> UnresolvedOf:
    """Find the unresolved incidents of a kind and tap, and lock the rows that their ends touch, in the order of all locks."""
    await store.connection.execute("SELECT FROM taps WHERE tap_path = $1 FOR NO KEY UPDATE", tap_path)
    rows = await store.connection.fetch(
        """SELECT incident_id, pour_id FROM incidents
           WHERE kind = $1 AND tap_path = $2 AND status <> 'resolved' ORDER BY raised_at, incident_id""",
        kind.value,
        tap_path,
    )
    taken = rows[:limit]
    pour_ids = [own for row in taken if (own := own_pour(kind, row["pour_id"])) is not None]
    await store.connection.execute(
        """SELECT FROM guests WHERE guest_id IN (SELECT guest_id FROM pours WHERE pour_id = ANY($1::uuid[]))
           ORDER BY guest_id FOR NO KEY UPDATE""",
        pour_ids,
    )
    await store.connection.execute("SELECT FROM pours WHERE pour_id = ANY($1::uuid[]) ORDER BY pour_id FOR NO KEY UPDATE", pour_ids)
    incident_ids = [row["incident_id"] for row in taken]
    open_ids = await store.connection.fetch(
        """SELECT incident_id FROM incidents WHERE incident_id = ANY($1::uuid[]) AND status <> 'resolved'
           ORDER BY incident_id FOR NO KEY UPDATE""",
        incident_ids,
    )
    return UnresolvedOf(tuple(row["incident_id"] for row in open_ids), len(rows) - len(taken))


async def lock_tap_of_gap(store: Store, incident_id: UUID) -> None:
    """Lock the tap of a `volume_gap` incident, so that no fact fills the hole while it is paid."""
    await store.connection.execute(
        """SELECT FROM taps WHERE tap_path = (SELECT tap_path FROM incidents WHERE incident_id = $1 AND kind = 'volume_gap')
           FOR NO KEY UPDATE""",
        incident_id,
    )


async def read_gap(store: Store, incident: IncidentFacts) -> IncidentHole | None:
    """Read the hole of an incident, under its tap's lock; None for an incident without one.

    A meter that was misread for a moment stands below the hole's end again: what it counts from there is not part of the hole.
    """
    if incident.kind is not IncidentKind.VOLUME_GAP:
        return None
    found = await store.connection.fetchval(
        """SELECT jsonb_build_object(
               'journal_id', gap.journal_id, 'from_ml', gap.from_ml,
               'to_ml', least(gap.to_ml, (
                   SELECT (state->>'odometer_ml')::bigint FROM node_status
                   WHERE path = tap_path AND state->>'journal_id' = gap.journal_id::text)),
               'stretches', (
                   SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
                   FROM overlapping_stretches(tap_path, gap.journal_id, gap.from_ml, gap.to_ml) AS stretch))
           FROM incidents, jsonb_to_record(details) AS gap(journal_id uuid, from_ml bigint, to_ml bigint)
           WHERE incident_id = $1 AND gap.to_ml IS NOT NULL""",
        incident.incident_id,
    )
    return _gap.decode(found) if found else None


async def lock_paying_guest(store: Store, incident_id: UUID, visit_id: UUID | None) -> PayingGuest | None:
    """Lock the guest of a visit, or of the incident's pour or payment when no visit is given."""
    row = await store.connection.fetchrow(
        """SELECT guest_id, balance_minor - held_minor AS available_minor, house_credit_minor, erased_at IS NOT NULL AS erased
           FROM guests WHERE guest_id = CASE WHEN $2::uuid IS NULL
               THEN coalesce(
                   (SELECT guest_id FROM pours WHERE pour_id = $1),
                   (SELECT (details->>'guest_id')::uuid FROM incidents WHERE incident_id = $3 AND kind = 'payment_reversed'))
               ELSE (SELECT guest_id FROM visits WHERE visit_id = $2) END
           FOR NO KEY UPDATE""",
        pour_id := await _own_pour(store, incident_id),
        visit_id,
        incident_id,
    )
    if row is None:
        return None
    taken_minor = await house_credit_taken(store, row["guest_id"], pour_id) if pour_id else 0
    return PayingGuest(
        guest_id=row["guest_id"],
        available_minor=row["available_minor"],
        house_credit=HouseCredit(row["house_credit_minor"], taken_minor),
        erased=row["erased"],
    )


async def claim(store: Store, incident_id: UUID, actor: Actor) -> None:
    """Make the actor the incident's owner."""
    await store.connection.execute(
        "UPDATE incidents SET status = 'claimed', owner = $2, claimed_at = now() WHERE incident_id = $1", incident_id, actor.name
    )


async def _own_pour(store: Store, incident_id: UUID) -> UUID | None:
    found = await store.connection.fetchrow("SELECT kind, pour_id FROM incidents WHERE incident_id = $1", incident_id)
    return own_pour(IncidentKind(found["kind"]), found["pour_id"]) if found else None
