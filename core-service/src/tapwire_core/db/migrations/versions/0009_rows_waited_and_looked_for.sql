-- Locks all that these questions and reports touch, class by class in the fixed order (tap, card, visit, guest, keg, pour; the smaller
-- id first), then reads the facts of each, in the order in which they were asked. No row is waited for longer than `wait_ms`; 0: for ever.
CREATE OR REPLACE FUNCTION lock_together(asked jsonb, wait_ms integer) RETURNS SETOF jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    tap_paths text[];
    card_uids text[];
    asked_pours uuid[];
    pour_ids uuid[];
    visit_ids uuid[];
    guest_ids uuid[];
    keg_ids uuid[];
BEGIN
    IF wait_ms > 0 THEN
        PERFORM set_config('lock_timeout', wait_ms::text, true);
    END IF;

    SELECT array_agg(tap_path), array_remove(array_agg(CASE kind WHEN 'question' THEN card_uid END), NULL),
        array_remove(array_agg(pour_id), NULL)
    INTO tap_paths, card_uids, asked_pours
    FROM jsonb_to_recordset(asked) AS one(kind text, tap_path text, card_uid text, pour_id uuid);

    PERFORM FROM taps WHERE tap_path = ANY(tap_paths) ORDER BY tap_path FOR NO KEY UPDATE;
    IF card_uids <> '{}' THEN
        PERFORM FROM cards WHERE card_uid = ANY(card_uids) ORDER BY card_uid FOR NO KEY UPDATE;
        visit_ids := ARRAY(SELECT visit_id FROM visits WHERE card_uid = ANY(card_uids) AND status = 'active');
    END IF;
    -- a tap's lock keeps its pending pour as it is
    SELECT array_agg(pour_id), array_agg(visit_id) || visit_ids, array_agg(guest_id), array_agg(keg_id)
    INTO pour_ids, visit_ids, guest_ids, keg_ids
    FROM (
        SELECT pour_id, visit_id, guest_id, keg_id FROM pours WHERE tap_path = ANY(tap_paths) AND sync_status = 'pending_sync'
        UNION
        SELECT pour_id, visit_id, guest_id, keg_id FROM pours WHERE pour_id = ANY(asked_pours)
    ) AS concerned;
    guest_ids := guest_ids || ARRAY(
        SELECT guest_id FROM visits WHERE visit_id = ANY(visit_ids) ORDER BY visit_id FOR NO KEY UPDATE);
    PERFORM FROM guests WHERE guest_id = ANY(guest_ids) ORDER BY guest_id FOR NO KEY UPDATE;
    keg_ids := keg_ids || ARRAY(SELECT keg_id FROM taps WHERE tap_path = ANY(tap_paths));
    PERFORM FROM kegs WHERE keg_id = ANY(keg_ids) ORDER BY keg_id FOR NO KEY UPDATE;
    IF pour_ids <> '{}' THEN
        PERFORM FROM pours WHERE pour_id = ANY(pour_ids) ORDER BY pour_id FOR NO KEY UPDATE;
    END IF;

    -- a pending pour keeps its shift open by itself; whatever else is booked keeps it from being closed until the commit
    IF asked_pours <> '{}' AND EXISTS (
        SELECT FROM jsonb_to_recordset(asked) AS one(kind text, tap_path text, pour_id uuid, card_uid text)
        WHERE kind = 'report' AND NOT EXISTS (
            SELECT FROM pours its
            WHERE its.pour_id = one.pour_id AND its.tap_path = one.tap_path
            AND (one.card_uid IS NULL OR its.card_uid = one.card_uid) AND its.sync_status = 'pending_sync')
    ) THEN
        PERFORM FROM shifts
            WHERE status = 'open' AND venue_id IN (SELECT venue_id FROM taps WHERE tap_path = ANY(tap_paths))
            ORDER BY shift_id FOR SHARE;
    END IF;

    IF wait_ms > 0 THEN
        PERFORM set_config('lock_timeout', '0', true);
    END IF;
    IF asked_pours = '{}' THEN
        RETURN QUERY SELECT facts FROM question_facts(asked) ORDER BY place;
    ELSIF card_uids = '{}' THEN
        RETURN QUERY SELECT facts FROM report_facts(asked) ORDER BY place;
    ELSE
        RETURN QUERY SELECT facts FROM (
            SELECT * FROM question_facts(asked) UNION ALL SELECT * FROM report_facts(asked)
        ) AS both_kinds ORDER BY place;
    END IF;
END $$
-- end of function

-- What questions are decided on, each by its place among all that was asked; read under the locks of `lock_together`.
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
                'keg_id', keg.keg_id,
                'keg_ml', keg.book_volume_ml,
                'beverage_id', beverage.beverage_id,
                'beverage_name', beverage.name,
                'beverage_style', beverage.style,
                'beverage_abv', beverage.abv,
                'price_minor', beverage.sell_price_per_liter_minor,
                'shift_id', shift.shift_id,
                'pending', CASE WHEN pending.pour_id IS NOT NULL THEN jsonb_build_object(
                    'pour_id', pending.pour_id,
                    'visit_id', pending.visit_id,
                    'guest_id', pending.guest_id,
                    'hold_minor', pending.hold_minor,
                    'journal_id', pending.journal_id,
                    'seq', pending.seq,
                    'reported', pending.reported OR pending.report_refused OR EXISTS (
                        SELECT FROM pour_reports said
                        WHERE said.pour_id = pending.pour_id AND said.tap_path = one.tap_path)
                ) END
            ),
            'card_status', card.status,
            'visit', CASE WHEN visit.visit_id IS NOT NULL THEN jsonb_build_object(
                'visit_id', visit.visit_id,
                'leased_tap', leased.tap_path,
                'leased_pour_id', leased.pour_id
            ) END,
            'guest', CASE WHEN guest.guest_id IS NOT NULL THEN jsonb_build_object(
                'guest_id', guest.guest_id,
                'first_name', guest.first_name,
                'blocked', guest.blocked,
                'balance_minor', guest.balance_minor,
                'held_minor', guest.held_minor
            ) END))
        END AS facts
    FROM ROWS FROM (jsonb_to_recordset(asked) AS (
        kind text, tap_path text, card_uid text, journal_id uuid, event_id uuid)) WITH ORDINALITY
        AS one(kind, tap_path, card_uid, journal_id, event_id, place)
    LEFT JOIN taps tap ON tap.tap_path = one.tap_path
    LEFT JOIN authorization_answers earlier ON earlier.tap_path = one.tap_path AND earlier.event_id = one.event_id
    LEFT JOIN venues venue ON venue.venue_id = tap.venue_id
    LEFT JOIN tap_journals journal ON journal.tap_path = one.tap_path AND journal.journal_id = one.journal_id
    LEFT JOIN kegs keg ON keg.keg_id = tap.keg_id
    LEFT JOIN beverages beverage ON beverage.beverage_id = keg.beverage_id
    LEFT JOIN shifts shift ON shift.venue_id = tap.venue_id AND shift.status = 'open'
    LEFT JOIN pours pending ON pending.tap_path = one.tap_path AND pending.sync_status = 'pending_sync'
    LEFT JOIN cards card ON card.card_uid = one.card_uid
    -- by the card, of which there is one; the index of a venue's visits would be read as a whole
    LEFT JOIN visits visit ON visit.card_uid = one.card_uid AND visit.status = 'active' AND visit.venue_id || '' = tap.venue_id
    LEFT JOIN guests guest ON guest.guest_id = visit.guest_id
    LEFT JOIN pours leased ON leased.visit_id = visit.visit_id AND leased.sync_status = 'pending_sync'
    WHERE one.kind = 'question'
$$
-- end of function
