"""Warnings about kegs on taps, `keg_low` and `keg_expired`: raised once for good, over when the keg comes off its tap."""

from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import IncidentKind
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct


class EndedWarning(Struct, frozen=True):
    """An unresolved warning that no longer holds, under its lock. `redated`: the keg has another best-before date."""

    incident_id: UUID
    kind: IncidentKind
    venue_id: str
    tap_path: str
    redated: bool


async def raise_warnings(store: Store) -> None:
    """Raise the warnings that are due. The unique index `uq_incidents_once` lets each be raised once, by whichever worker."""
    await store.connection.execute(
        """WITH due AS (
               SELECT outlook.*, kind,
                   CASE kind WHEN 'keg_low' THEN keg_id::text ELSE concat(keg_id, ' ', best_before) END AS cause,
                   jsonb_build_object(
                       'keg_id', keg_id, 'beverage', beverages.name,
                       'book_volume_ml', book_volume_ml, 'initial_volume_ml', initial_volume_ml)
                   || CASE kind
                       WHEN 'keg_low' THEN jsonb_build_object('empties_at', empties_at)
                       ELSE jsonb_build_object('best_before', best_before) END AS details
               FROM keg_outlook outlook JOIN kegs USING (keg_id) JOIN beverages USING (beverage_id)
               CROSS JOIN (VALUES ('keg_low'), ('keg_expired')) AS kinds(kind)
               WHERE CASE kind WHEN 'keg_low' THEN is_low ELSE is_expired END)
           INSERT INTO incidents (incident_id, kind, cause, venue_id, tap_path, details)
           SELECT gen_random_uuid(), kind, cause, venue_id, tap_path, details FROM due
           WHERE NOT EXISTS (
               SELECT FROM incidents earlier
               WHERE earlier.kind IN ('keg_low', 'keg_expired') AND earlier.kind = due.kind AND earlier.cause = due.cause)
           ON CONFLICT DO NOTHING"""
    )


async def lock_ended_warnings(store: Store) -> list[EndedWarning]:
    """Lock the unresolved warnings whose keg is on no tap, or has another best-before date by now."""
    rows = await store.connection.fetch(
        """SELECT incident_id, kind, incidents.venue_id, tap_path, EXISTS (
               SELECT FROM taps WHERE taps.keg_id = (details->>'keg_id')::uuid) AS redated
           FROM incidents
           WHERE kind IN ('keg_low', 'keg_expired') AND status <> 'resolved' AND (
               NOT EXISTS (SELECT FROM taps WHERE taps.keg_id = (details->>'keg_id')::uuid)
               OR kind = 'keg_expired' AND NOT EXISTS (
                   SELECT FROM kegs
                   WHERE keg_id = (details->>'keg_id')::uuid AND best_before = (details->>'best_before')::date))
           ORDER BY incident_id FOR NO KEY UPDATE"""
    )
    return [ended for row in rows if (ended := as_struct(row, EndedWarning)) is not None]
