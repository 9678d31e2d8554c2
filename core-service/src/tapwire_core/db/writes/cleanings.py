"""Cleanings of taps, and the incident of an overdue one."""

from typing import Final
from uuid import UUID

from tapwire_core.db.store import Store

LONGEST_AGE_MS: Final = 10 * 366 * 86_400_000
"""Ages that a node reports are cut to ten years: the database has no time for an older cleaning."""


async def record_cleaning(store: Store, tap_path: str, venue_id: str, kind: str, note: str | None, cleaned_by: str) -> int:
    """Add a cleaning that a person did just now, under the tap's lock; return its id."""
    cleaning_id: int = await store.connection.fetchval(
        """INSERT INTO tap_cleanings (tap_path, venue_id, kind, note, cleaned_by)
           VALUES ($1, $2, $3, $4, $5) RETURNING cleaning_id""",
        tap_path,
        venue_id,
        kind,
        note,
        cleaned_by,
    )
    await _note_cleaned(store, tap_path)
    return cleaning_id


async def record_measured_cleaning(
    store: Store, tap_path: str, venue_id: str, event_id: UUID, volume_ml: int, age_ms: int
) -> int | None:
    """Add the cleaning of a flow that ended `age_ms` ago, under the tap's lock; None when it was added before."""
    cleaning_id: int | None = await store.connection.fetchval(
        """INSERT INTO tap_cleanings (tap_path, venue_id, event_id, volume_ml, cleaned_at)
           VALUES ($1, $2, $3, $4, now() - $5::bigint * interval '1 millisecond')
           ON CONFLICT (tap_path, event_id) WHERE event_id IS NOT NULL DO NOTHING RETURNING cleaning_id""",
        tap_path,
        venue_id,
        event_id,
        volume_ml,
        min(age_ms, LONGEST_AGE_MS),
    )
    if cleaning_id is not None:
        await _note_cleaned(store, tap_path)
    return cleaning_id


async def lock_ended_incidents(store: Store, tap_path: str) -> list[UUID]:
    """Lock the unresolved incidents of a tap whose cleaning is no longer due."""
    rows = await store.connection.fetch(
        """SELECT incident_id FROM incidents JOIN taps USING (tap_path)
           WHERE kind = 'cleaning_due' AND incidents.status <> 'resolved' AND tap_path = $1
             AND coalesce(cleaning_due_at(last_cleaned_at, cleaning_interval_set_at, cleaning_interval_days) > now(), true)
           FOR NO KEY UPDATE OF incidents""",
        tap_path,
    )
    return [row["incident_id"] for row in rows]


async def raise_due(store: Store) -> None:
    """Raise `cleaning_due` for each tap whose cleaning is due, once for each time at which one was.

    The taps are locked before their cleanings are looked at again. Those that another transaction holds come with the next call.
    """
    rows = await store.connection.fetch(
        """SELECT tap_path FROM taps
           WHERE cleaning_due_at(last_cleaned_at, cleaning_interval_set_at, cleaning_interval_days) <= now()
             AND NOT EXISTS (
                 SELECT FROM incidents
                 WHERE kind = 'cleaning_due' AND incidents.tap_path = taps.tap_path
                   AND (incidents.status <> 'resolved' OR cause = concat(taps.tap_path, ' ', extract(epoch FROM
                       cleaning_due_at(last_cleaned_at, cleaning_interval_set_at, cleaning_interval_days)))))
           ORDER BY tap_path FOR NO KEY UPDATE SKIP LOCKED"""
    )
    if not rows:
        return
    await store.connection.execute(
        """INSERT INTO incidents (incident_id, kind, cause, venue_id, tap_path, details)
           SELECT gen_random_uuid(), 'cleaning_due', due.cause, venue_id, tap_path, jsonb_build_object(
               'cleaning_due_at', due_at, 'last_cleaned_at', last_cleaned_at, 'cleaning_interval_days', cleaning_interval_days)
           FROM taps,
               cleaning_due_at(last_cleaned_at, cleaning_interval_set_at, cleaning_interval_days) AS due_at,
               concat(tap_path, ' ', extract(epoch FROM due_at)) AS due(cause)
           WHERE tap_path = ANY($1) AND due_at <= now()
             AND NOT EXISTS (
                 SELECT FROM incidents
                 WHERE kind = 'cleaning_due' AND incidents.tap_path = taps.tap_path
                   AND (incidents.status <> 'resolved' OR incidents.cause = due.cause))
           ON CONFLICT (kind, cause) WHERE status <> 'resolved' DO NOTHING""",
        [row["tap_path"] for row in rows],
    )


async def _note_cleaned(store: Store, tap_path: str) -> None:
    """Keep the time of a tap's latest cleaning with the tap; one that is told of late may be older than it."""
    await store.connection.execute(
        """UPDATE taps SET last_cleaned_at = (SELECT max(cleaned_at) FROM tap_cleanings WHERE tap_cleanings.tap_path = $1)
           WHERE tap_path = $1""",
        tap_path,
    )
