-- A pour, with its guest's balance, its keg's book volume, and its unresolved incidents.
CREATE OR REPLACE VIEW pour_facts AS
SELECT pour.pour_id, jsonb_build_object(
    'pour_id', pour.pour_id,
    'visit_id', pour.visit_id,
    'guest_id', pour.guest_id,
    'card_uid', pour.card_uid,
    'tap_path', pour.tap_path,
    'venue_id', pour.venue_id,
    'keg_id', pour.keg_id,
    'sync_status', pour.sync_status,
    'sell_price_per_liter_minor', pour.sell_price_per_liter_minor,
    'max_volume_ml', pour.max_volume_ml,
    'hold_minor', pour.hold_minor,
    'volume_ml', pour.volume_ml,
    'amount_minor', pour.amount_minor,
    'stock_ml', pour.stock_ml,
    'reported', pour.reported,
    'refused', pour.report_refused,
    'journal_id', pour.journal_id,
    'boot_id', pour.boot_id,
    'odometer_seen_ml', pour.odometer_seen_ml,
    'elapsed_ms', (extract(epoch FROM now() - pour.authorized_at) * 1000)::bigint,
    'balance_minor', guest.balance_minor,
    'held_minor', guest.held_minor,
    'house_credit_minor', guest.house_credit_minor,
    'keg_ml', keg.book_volume_ml,
    'keg_finished', keg.finished_at IS NOT NULL,
    'open_incidents', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('incident_id', incident_id, 'kind', kind)), '[]')
        FROM incidents WHERE incidents.pour_id = pour.pour_id AND status <> 'resolved')
) AS facts
FROM pours pour JOIN guests guest USING (guest_id) JOIN kegs keg USING (keg_id);
