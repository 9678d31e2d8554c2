-- The facts for deciding questions, each with its place in `asked`; read under the locks of `lock_together`.
CREATE OR REPLACE FUNCTION question_facts(asked jsonb) RETURNS TABLE (place bigint, facts jsonb)
LANGUAGE sql STABLE AS $$
    SELECT one.place, CASE
        WHEN earlier.event_id IS NOT NULL THEN jsonb_build_object('earlier', jsonb_build_object(
            'fingerprint', encode(earlier.fingerprint, 'hex'),
            'payload', earlier.payload,
            'granted', earlier.pour_id IS NOT NULL,
            'pending', EXISTS (
                SELECT FROM pours WHERE pours.pour_id = earlier.pour_id AND pours.sync_status = 'pending_sync')))
        WHEN tap.tap_path IS NULL THEN '{"facts": {"tap": null, "card_status": null, "visit": null, "guest": null}}'
        ELSE jsonb_build_object('facts', jsonb_build_object(
            'tap', jsonb_build_object(
                'venue_id', tap.venue_id,
                'status', tap.status,
                'emergency_stop', venue.emergency_stop,
                'max_pour_ml', tap.max_pour_ml,
                'highest_seq', coalesce(journal.highest_seq, 0),
                'highest_boot_id', journal.highest_boot_id,
                'seq_taken', CASE WHEN one.seq <= journal.highest_seq THEN EXISTS (
                    SELECT FROM authorization_answers other
                    WHERE other.tap_path = one.tap_path AND other.journal_id = one.journal_id AND other.seq = one.seq)
                    ELSE false END,
                'set_back', coalesce(journal.set_back_boots ? one.boot_id::text, false),
                'suspected', coalesce(journal.suspect_boot_id = one.boot_id, false),
                'odometer_seen_ml', greatest(journal.odometer_covered_ml, (
                    SELECT to_ml FROM odometer_stretches seen
                    WHERE seen.tap_path = one.tap_path AND seen.journal_id = one.journal_id ORDER BY to_ml DESC LIMIT 1)),
                'identity_conflict', tap.identity_conflict_at IS NOT NULL,
                'keg_id', keg.keg_id,
                'keg_ml', keg.book_volume_ml,
                'beverage_id', beverage.beverage_id,
                'beverage_name', beverage.name,
                'beverage_style', beverage.style,
                'beverage_abv', beverage.abv,  -- for workers of the previous version
                'abv_hundredths', beverage.abv_hundredths,
                'tax_rate_bp', beverage.tax_rate_bp,
                'price_minor', beverage.sell_price_per_liter_minor,
                'price_rules', (SELECT now.facts FROM price_rules_now now WHERE now.venue_id = tap.venue_id),
                'shift_id', shift.shift_id,
                'serving_limit', serving_limit_of(
                    venue.serving_limit_measure, venue.serving_limit, venue.serving_limit_window_minutes),
                'pending', CASE WHEN pending.pour_id IS NOT NULL THEN pending_facts(pending.pour_id) END
            ),
            'card_status', card.status,
            'visit', CASE WHEN visit.visit_id IS NOT NULL THEN jsonb_build_object(
                'visit_id', visit.visit_id,
                'leased_tap', leased.tap_path,
                'leased_pour_id', leased.pour_id,
                'patrons', visit.patrons,
                'alcohol_allowed', visit.alcohol_allowed,
                'expired', coalesce(visit.valid_until <= now(), false)
            ) END,
            'guest', CASE WHEN guest.guest_id IS NOT NULL THEN jsonb_build_object(
                'guest_id', guest.guest_id,
                'first_name', coalesce(guest.first_name, '…' || right(one.card_uid, 4)),
                'blocked', guest.blocked,
                'balance_minor', guest.balance_minor,
                'held_minor', guest.held_minor,
                'served', CASE WHEN venue.serving_limit_measure IS NOT NULL THEN served_facts(
                    guest.guest_id, venue.venue_id, venue.serving_limit_measure, venue.serving_limit_window_minutes,
                    pending.pour_id) END
            ) END))
        END AS facts
    FROM ROWS FROM (jsonb_to_recordset(asked) AS (
        kind text, tap_path text, card_uid text, journal_id uuid, event_id uuid, boot_id uuid, seq bigint)) WITH ORDINALITY
        AS one(kind, tap_path, card_uid, journal_id, event_id, boot_id, seq, place)
    LEFT JOIN taps tap ON tap.tap_path = one.tap_path
    LEFT JOIN authorization_answers earlier ON earlier.tap_path = one.tap_path AND earlier.event_id = one.event_id
    LEFT JOIN venues venue ON venue.venue_id = tap.venue_id
    LEFT JOIN tap_journals journal ON journal.tap_path = one.tap_path AND journal.journal_id = one.journal_id
    LEFT JOIN kegs keg ON keg.keg_id = tap.keg_id
    LEFT JOIN beverages beverage ON beverage.beverage_id = keg.beverage_id
    LEFT JOIN shifts shift ON shift.venue_id = tap.venue_id AND shift.status = 'open'
    LEFT JOIN pours pending ON pending.tap_path = one.tap_path AND pending.sync_status = 'pending_sync'
    LEFT JOIN cards card ON card.card_uid = one.card_uid
    LEFT JOIN visits visit ON visit.card_uid = one.card_uid AND visit.status = 'active' AND visit.venue_id || '' = tap.venue_id
    LEFT JOIN guests guest ON guest.guest_id = visit.guest_id
    LEFT JOIN pours leased ON leased.visit_id = visit.visit_id AND leased.sync_status = 'pending_sync'
    WHERE one.kind = 'question'
$$;
