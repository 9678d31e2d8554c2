"""Heartbeats of programs, and the incident of a program of which no process is left."""

from typing import Final
from uuid import UUID

from tapwire_core.db.store import Store
from tapwire_core.domain.closed_sets import Program

MISSED_BEATS: Final = 3
"""Beats that a process may miss before it counts as gone."""


async def record_beat(store: Store, program: Program, instance: str, interval_ms: int) -> bool:
    """Record a process's heartbeat; returns whether it has beaten without a gap for as long as others may miss beats.

    After an outage of the database every heartbeat is old: the first process that is back must not report the others.
    """
    steady: bool = await store.connection.fetchval(
        """INSERT INTO program_heartbeats AS earlier (program, instance, interval_ms) VALUES ($1, $2, $3)
           ON CONFLICT (program, instance) DO UPDATE SET
               beat_at = now(), interval_ms = excluded.interval_ms,
               started_at = CASE
                   WHEN earlier.beat_at > now() - $4 * earlier.interval_ms * interval '1 millisecond' THEN earlier.started_at
                   ELSE now() END
           RETURNING started_at < now() - $4 * interval_ms * interval '1 millisecond'""",
        program.value,
        instance,
        interval_ms,
        MISSED_BEATS,
    )
    return steady


async def raise_missing_programs(store: Store) -> None:
    """Raise `program_missing` for each program that ran once and of which no process is left, once per disappearance.

    The last beat is a part of the cause: an incident that a person has resolved is not raised again for it. A beat of the future is
    from before the database's clock was set back: a living process has written a newer one since.
    """
    await store.connection.execute(
        """WITH last AS (
               SELECT DISTINCT ON (program) program, instance, interval_ms, beat_at,
                   concat(program, ' ', extract(epoch FROM beat_at)) AS cause
               FROM program_heartbeats
               ORDER BY program, beat_at > now() + $1 * interval_ms * interval '1 millisecond', beat_at DESC)
           INSERT INTO incidents (incident_id, kind, cause, details)
           SELECT gen_random_uuid(), 'program_missing', cause,
               jsonb_build_object('program', program, 'instance', instance, 'last_beat_at', beat_at)
           FROM last
           WHERE NOT is_recent(beat_at, $1 * interval_ms * interval '1 millisecond')
             AND NOT EXISTS (
                 SELECT 1 FROM incidents WHERE kind = 'program_missing' AND incidents.cause = last.cause
                   AND (raised_at > beat_at OR beat_at > now()))
           ON CONFLICT (kind, cause) WHERE status <> 'resolved' DO NOTHING""",
        MISSED_BEATS,
    )


async def lock_incidents_of(store: Store, program: Program) -> list[UUID]:
    """Lock the unresolved incidents of a program that was missing."""
    rows = await store.connection.fetch(
        """SELECT incident_id FROM incidents
           WHERE kind = 'program_missing' AND status <> 'resolved' AND details->>'program' = $1 FOR NO KEY UPDATE""",
        program.value,
    )
    return [row["incident_id"] for row in rows]


async def record_listening(store: Store, instance: str) -> list[str]:
    """Record that a core worker hears devices now; returns the workers that did within `takeover_ms`, this one included.

    A time further ahead is from before the database's clock was set back: a living worker has written a newer one since.
    """
    rows = await store.connection.fetch(
        """WITH own AS (
               INSERT INTO program_heartbeats (program, instance, interval_ms, listens_at) VALUES ($1, $2, $3, now())
               ON CONFLICT (program, instance) DO UPDATE SET listens_at = now()
               RETURNING instance)
           SELECT instance FROM own
           UNION SELECT instance FROM program_heartbeats
           WHERE program = $1 AND is_recent(listens_at, $4 * interval '1 millisecond')""",
        Program.CORE.value,
        instance,
        store.policy.heartbeat_ms,
        store.policy.takeover_ms,
    )
    return [row["instance"] for row in rows]


async def end_listening(store: Store, instance: str) -> None:
    """Record that a core worker no longer hears devices."""
    await store.connection.execute(
        "UPDATE program_heartbeats SET listens_at = NULL WHERE program = $1 AND instance = $2", Program.CORE.value, instance
    )


async def forget_heartbeats(store: Store) -> None:
    """Delete all heartbeats; programs that run write theirs again."""
    await store.connection.execute("DELETE FROM program_heartbeats")
