"""Retention: deletes old answers, verdicts, dead letters, deliveries, heartbeats, sessions, guests' pages and login tries."""

from typing import Final

from tapwire_core.db.store import Store

BATCH: Final = 1_000
"""Rows that one statement deletes at most, so that it delays no other transaction."""

_OLD_ROWS: Final = {
    # the answer of a pending pour may still be repeated
    "authorization_answers": """
        SELECT answer.ctid FROM authorization_answers AS answer LEFT JOIN pours USING (pour_id)
        WHERE answer.decided_at < now() - make_interval(days => $1) AND pours.sync_status IS DISTINCT FROM 'pending_sync'
        LIMIT $2""",
    # a report is needed until its pour has ended, and while an incident of it is open
    "pour_reports": """
        SELECT report.ctid FROM pour_reports AS report LEFT JOIN pours USING (pour_id)
        WHERE report.received_at < now() - make_interval(days => $1)
          AND coalesce(pours.settled_at < now() - make_interval(days => $1), pours.pour_id IS NULL)
          AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.pour_id = report.pour_id AND incidents.status <> 'resolved')
        LIMIT $2""",
    "dead_letters": "SELECT ctid FROM dead_letters WHERE last_received_at < now() - make_interval(days => $1) LIMIT $2",
    # includes deliveries to disabled endpoints: a replay makes them again from the audit log
    "webhook_deliveries": "SELECT ctid FROM webhook_deliveries WHERE created_at < now() - make_interval(days => $1) LIMIT $2",
    "webhook_events": """
        SELECT event.ctid FROM webhook_events AS event
        WHERE created_at < now() - make_interval(days => $1)
          AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS delivery WHERE delivery.event_id = event.event_id)
        LIMIT $2""",
    # the last one of a program stays until a person has resolved that it is missing
    "program_heartbeats": """
        SELECT gone.ctid FROM program_heartbeats AS gone
        WHERE beat_at < now() - make_interval(days => $1)
          AND (
              EXISTS (
                  SELECT 1 FROM program_heartbeats AS later
                  WHERE later.program = gone.program AND later.beat_at > gone.beat_at)
              OR EXISTS (
                  SELECT 1 FROM incidents
                  WHERE kind = 'program_missing' AND status = 'resolved'
                    AND cause = concat(gone.program, ' ', extract(epoch FROM gone.beat_at))))
        LIMIT $2""",
    "sessions": "SELECT ctid FROM sessions WHERE expires_at < now() - make_interval(days => $1) LIMIT $2",
    # the page of a visit that ended before counts as ended without its row
    "guest_pages": """
        SELECT page.ctid FROM guest_pages AS page JOIN visits USING (visit_id)
        WHERE closed_at < now() - make_interval(days => $1) LIMIT $2""",
    "login_tries": "SELECT ctid FROM login_tries WHERE tried_at < now() - make_interval(days => $1) LIMIT $2",
}
"""The query for each table's expired rows: older than $1 days, at most $2."""


async def delete_old(store: Store, table: str, days: int) -> int:
    """Delete up to `BATCH` rows older than `days`; returns their number."""
    # the table name is our own code's, never input
    statement = f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({_OLD_ROWS[table]}))"  # noqa: S608
    return int((await store.connection.execute(statement, days, BATCH)).removeprefix("DELETE "))
