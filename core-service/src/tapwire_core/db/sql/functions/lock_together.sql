-- Locks the rows that these questions and reports touch, class by class in the fixed order, then returns the facts of each in the
-- order of `asked`. A `wait_ms` above 0 limits the wait for each row of this transaction, also while it writes.
CREATE OR REPLACE FUNCTION lock_together(asked jsonb, wait_ms integer) RETURNS SETOF jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET enable_bitmapscan = off
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
    -- a tap's lock keeps its pending pour from changing
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

    -- a pending pour keeps its shift open; any other booking must lock the shift until the commit
    IF asked_pours <> '{}' AND EXISTS (
        SELECT FROM jsonb_to_recordset(asked) AS one(kind text, tap_path text, pour_id uuid)
        WHERE kind = 'report' AND NOT EXISTS (
            SELECT FROM pours its
            WHERE its.pour_id = one.pour_id AND its.tap_path = one.tap_path AND its.sync_status = 'pending_sync')
    ) THEN
        PERFORM FROM shifts
            WHERE status = 'open' AND venue_id IN (SELECT venue_id FROM taps WHERE tap_path = ANY(tap_paths))
            ORDER BY shift_id FOR SHARE;
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
END $$;
