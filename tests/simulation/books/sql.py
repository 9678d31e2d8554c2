"""Queries of a statement of the books; the columns are those of the lines in `interface`, after the keys."""

from typing import Final

GUESTS: Final = "SELECT guest_id, balance_minor, held_minor, house_credit_minor FROM guests"
KEGS: Final = "SELECT keg_id, book_volume_ml FROM kegs"
TAPS: Final = "SELECT tap_path, keg_id, status, config_revision FROM taps"
VISITS: Final = "SELECT visit_id, guest_id, card_uid, status, active_tap_id, patrons, alcohol_allowed FROM visits"
POURS: Final = """
    SELECT pour_id, guest_id, tap_path, keg_id, sync_status, sell_price_per_liter_minor, max_volume_ml, hold_minor, volume_ml,
        amount_minor, loss_minor, stock_ml, reported, report_refused, end_reason, stop_reason, abv_hundredths
    FROM pours"""
JOURNALS: Final = "SELECT tap_path, journal_id, highest_seq, odometer_first_ml, odometer_covered_ml FROM tap_journals"
STRETCHES: Final = """
    SELECT tap_path, journal_id, from_ml, to_ml, CASE WHEN NOT is_hole THEN fact_id END, keg_id FROM odometer_stretches"""
STOCK: Final = """
    SELECT keg_id, kind, volume_ml, facts.fact_id
    FROM stock_movements LEFT JOIN (
        SELECT pour_id AS fact_id FROM pours UNION SELECT pour_id FROM pour_reports UNION SELECT event_id FROM flows) AS facts
        ON facts.fact_id = cause_id"""
SERVED: Final = """
    SELECT guest_id, used FROM guests, venues,
        served(guest_id, venue_id, serving_limit_measure, serving_limit_window_minutes, NULL)
    WHERE serving_limit_measure IS NOT NULL"""
DEPOSITS: Final = "SELECT guest_id, sum(deposit_minor)::bigint FROM cards WHERE deposit_minor > 0 GROUP BY guest_id"
MONEY: Final = "SELECT debit_account, credit_account, amount_minor, guest_id, pour_id FROM money_movements"
INCIDENTS: Final = "SELECT kind, cause, occurrences FROM incidents WHERE status <> 'resolved'"
GAPS: Final = """
    SELECT cause, (details->>'volume_ml')::bigint, (details->>'value_minor')::bigint
    FROM incidents WHERE status <> 'resolved' AND kind = 'volume_gap'"""
AUDITED: Final = """
    SELECT action, count(*) FROM audit
    WHERE action LIKE 'pour\\_%' OR action LIKE 'sync\\_%' OR action LIKE 'late\\_%' OR action LIKE 'overpour\\_%'
    OR action LIKE 'volume\\_gap\\_%' OR action IN (
        'insufficient_funds_denied', 'unattributed_flow_recorded', 'reconcile_done', 'visit_force_unlock', 'top_up', 'refund',
        'comp', 'adjustment', 'incident_resolved')
    GROUP BY action"""
