"""A venue that has been open for years: many rows in every table that a decision reads or writes."""

from typing import Final
from uuid import UUID

import asyncpg

from tapwire_core.db.engine import Database
from tapwire_core.db.indexes import without_indexes
from tests.venue import Venue

ROWS: Final = 20_000

CROWDED: Final = (
    "audit",
    "authorization_answers",
    "cards",
    "flows",
    "guests",
    "incidents",
    "kegs",
    "money_movements",
    "odometer_stretches",
    "pour_reports",
    "pours",
    "stock_movements",
    "tap_journals",
    "visits",
)
"""Tables that have at least `ROWS` rows."""

_ID: Final = "md5('{noun}' || n)::uuid"
_FILL: Final = (
    """INSERT INTO guests (guest_id, first_name, balance_minor) SELECT {guest}, 'Ann', 1000 FROM generate_series(1, $1) n""",
    """INSERT INTO kegs (keg_id, venue_id, beverage_id, initial_volume_ml, book_volume_ml)
       SELECT {keg}, 'bar', $2, 50000, 50000 FROM generate_series(1, $1) n""",
    """INSERT INTO cards (card_uid, status, guest_id) SELECT '04' || lpad(to_hex(n), 12, '0'), 'bound', {guest}
       FROM generate_series(1, $1) n""",
    """INSERT INTO visits (visit_id, venue_id, guest_id, card_uid, status, opened_by, closed_at)
       SELECT {visit}, 'bar', {guest}, '04' || lpad(to_hex(n), 12, '0'), CASE n % 2 WHEN 0 THEN 'active' ELSE 'closed' END, 'test',
           CASE n % 2 WHEN 1 THEN now() END
       FROM generate_series(1, $1) n""",
    """INSERT INTO pours (pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, sync_status, request_id,
           journal_id, seq, sell_price_per_liter_minor, max_volume_ml, hold_minor, authorized_at, settled_at)
       SELECT {pour}, {visit}, {guest}, '04' || lpad(to_hex(n), 12, '0'), 'bar', 'bar/taps/left', {keg}, $2, 'synced', {event},
           {journal}, n, 900, 400, 360, now() - interval '1 day' - n * interval '1 minute',
           now() - interval '1 day' - n * interval '1 minute'
       FROM generate_series(1, $1) n""",
    """INSERT INTO authorization_answers (tap_path, event_id, fingerprint, pour_id, payload)
       SELECT 'bar/taps/left', {event}, '\\x00', {pour}, '{{}}' FROM generate_series(1, $1) n""",
    """INSERT INTO pour_reports (tap_path, pour_id, volume_ml, odometer_from_ml, odometer_to_ml, verdict)
       SELECT 'bar/taps/left', {pour}, 100, n * 100, n * 100 + 100, '{{}}' FROM generate_series(1, $1) n""",
    """INSERT INTO flows (tap_path, event_id, cause, volume_ml, duration_ms, venue_id)
       SELECT 'bar/taps/left', {flow}, 'closed_valve', 10, 1000, 'bar' FROM generate_series(1, $1) n""",
    """INSERT INTO odometer_stretches (tap_path, journal_id, from_ml, to_ml, fact_id)
       SELECT 'bar/taps/left', $2, n * 100, n * 100 + 100, {pour} FROM generate_series(1, $1) n""",
    """INSERT INTO tap_journals (tap_path, journal_id) SELECT 'bar/taps/left', {journal} FROM generate_series(1, $1) n""",
    """INSERT INTO tap_journals (tap_path, journal_id, odometer_first_ml, odometer_covered_ml)
       VALUES ('bar/taps/left', $2, 100, $1 * 100 + 100)""",
    """INSERT INTO incidents (incident_id, kind, cause, pour_id)
       SELECT {incident}, 'late_mismatch', n::text, {pour} FROM generate_series(1, $1) n""",
    """INSERT INTO money_movements (debit_account, credit_account, amount_minor, guest_id, pour_id, actor)
       SELECT 'guest', 'sales', 90, {guest}, {pour}, 'test' FROM generate_series(1, $1) n""",
    """INSERT INTO stock_movements (keg_id, kind, volume_ml, venue_id, cause_id, actor)
       SELECT {keg}, 'sale', 100, 'bar', {pour}, 'test' FROM generate_series(1, $1) n""",
    """INSERT INTO audit (action, actor, subjects) SELECT 'pour_synced', 'test', ARRAY[n::text] FROM generate_series(1, $1) n""",
)


async def fill(venue: Venue, owner_db: Database, rows: int = ROWS) -> None:
    """Fill the tables with so many rows each, and let the planner know.

    The rows are there to be looked past: the books don't balance with them. No trigger looks at them, which takes most of the time.
    """
    nouns = ("guest", "keg", "visit", "pour", "event", "journal", "flow", "incident")
    ids = {noun: _ID.format(noun=noun) for noun in nouns}
    connection = await asyncpg.connect(owner_db.url)
    try:
        async with connection.transaction(), without_indexes(connection, CROWDED):
            await connection.execute("SET LOCAL session_replication_role = replica")
            for statement in _FILL:
                filled = statement.format(**ids)
                second: tuple[UUID, ...] = ()
                if "$2" in statement:
                    second = (venue.tap.journal_id if "odometer" in statement else venue.beverage_id,)
                await connection.execute(filled, rows, *second)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    venue.tap.odometer_ml = rows * 100 + 100
