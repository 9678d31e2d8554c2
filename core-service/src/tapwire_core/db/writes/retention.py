"""Deleting what was kept long enough: answers and verdicts that nobody can ask for again, and messages that nobody looked at."""

from typing import Final

from tapwire_core.db.store import Store

BATCH: Final = 1_000
"""The most rows that one statement deletes, so that it holds nobody up."""

_OLD_ROWS: Final = {
    # a question of a pour that is still pending is answered again
    "authorization_answers": """
        SELECT answer.ctid FROM authorization_answers AS answer LEFT JOIN pours USING (pour_id)
        WHERE answer.decided_at < now() - make_interval(days => $1) AND pours.sync_status IS DISTINCT FROM 'pending_sync'
        LIMIT $2""",
    # a report that came counts as come until its pour has ended, and a person may need it for what they must look at
    "pour_reports": """
        SELECT report.ctid FROM pour_reports AS report LEFT JOIN pours USING (pour_id)
        WHERE report.received_at < now() - make_interval(days => $1)
          AND coalesce(pours.settled_at < now() - make_interval(days => $1), pours.pour_id IS NULL)
          AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.pour_id = report.pour_id AND incidents.status <> 'resolved')
        LIMIT $2""",
    "dead_letters": "SELECT ctid FROM dead_letters WHERE last_received_at < now() - make_interval(days => $1) LIMIT $2",
    # what waits for an endpoint that is switched off goes too: it can be made again from the audit log
    "webhook_deliveries": "SELECT ctid FROM webhook_deliveries WHERE created_at < now() - make_interval(days => $1) LIMIT $2",
    "webhook_events": """
        SELECT event.ctid FROM webhook_events AS event
        WHERE created_at < now() - make_interval(days => $1)
          AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS delivery WHERE delivery.event_id = event.event_id)
        LIMIT $2""",
    "sessions": "SELECT ctid FROM sessions WHERE expires_at < now() - make_interval(days => $1) LIMIT $2",
    "login_tries": "SELECT ctid FROM login_tries WHERE tried_at < now() - make_interval(days => $1) LIMIT $2",
}
"""Which rows of a table are older than some days and may go."""


async def delete_old(store: Store, table: str, days: int) -> int:
    """Delete up to `BATCH` rows that were kept for so many days; how many went."""
    # the table is one of ours, never input
    statement = f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({_OLD_ROWS[table]}))"  # noqa: S608
    return int((await store.connection.execute(statement, days, BATCH)).removeprefix("DELETE "))
