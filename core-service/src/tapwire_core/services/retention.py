"""Retention sweeps. Pours, the audit log and the books are kept for good."""

from typing import Final

from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import retention as writes
from tapwire_core.domain.retention import RetentionPeriods

LOGIN_TRIES_DAYS: Final = 1
"""Retention of counted logins; the longest lock-out is minutes."""

GUEST_PAGES_DAYS: Final = 2
"""Retention of guests' pages after their visits; they end a day after."""


async def delete_expired(db: Database, periods: RetentionPeriods) -> dict[str, int]:
    """Delete rows past their retention period, in bounded batches; return the number of deleted rows by table."""
    kept_days = {
        "authorization_answers": periods.answers_days,
        "pour_reports": periods.verdicts_days,
        "dead_letters": periods.dead_letters_days,
        "sessions": periods.sessions_days,
        "login_tries": LOGIN_TRIES_DAYS,
        "guest_pages": GUEST_PAGES_DAYS,
        "webhook_deliveries": periods.webhooks_days,
        "webhook_events": periods.webhooks_days,
        "program_heartbeats": periods.heartbeats_days,
    }
    deleted = dict.fromkeys(kept_days, 0)
    for table, days in kept_days.items():
        while count := await _delete_old(db, table, days):
            deleted[table] += count
    return deleted


@use_case
async def _delete_old(store: Store, table: str, days: int) -> int:
    return await writes.delete_old(store, table, days)
