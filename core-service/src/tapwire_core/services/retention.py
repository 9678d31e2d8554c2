"""Retention sweeps. Pours, the audit log and the books are kept for good."""

from typing import Final

from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import retention as writes
from tapwire_core.domain.retention import Keeping

LOGIN_TRIES_DAYS: Final = 1
"""The longest wait is minutes: who has stopped trying for a day begins anew."""


async def sweep(db: Database, keeping: Keeping) -> dict[str, int]:
    """Delete what was kept long enough, a bounded part at a time; how many rows of which table went."""
    kept_days = {
        "authorization_answers": keeping.answers_days,
        "pour_reports": keeping.verdicts_days,
        "dead_letters": keeping.dead_letters_days,
        "sessions": keeping.sessions_days,
        "login_tries": LOGIN_TRIES_DAYS,
        "webhook_deliveries": keeping.webhooks_days,
        "webhook_events": keeping.webhooks_days,
    }
    gone = dict.fromkeys(kept_days, 0)
    for table, days in kept_days.items():
        while deleted := await _delete_old(db, table, days):
            gone[table] += deleted
    return gone


@use_case
async def _delete_old(store: Store, table: str, days: int) -> int:
    return await writes.delete_old(store, table, days)
