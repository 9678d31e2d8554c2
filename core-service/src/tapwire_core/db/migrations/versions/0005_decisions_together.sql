-- Decisions that are made in one transaction: their locks and facts in one round trip, their changes in another.
--
-- Rows are locked class by class in the fixed order (tap, card, visit, guest, keg, pour; the smaller id first), before lock_question
-- and lock_report read each decision's facts: one after the other, those would lock a second tap after a first guest.

CREATE FUNCTION lock_together(asked jsonb, wait_ms integer) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_array_length(asked) > 1 THEN
        PERFORM set_config('lock_timeout', wait_ms::text, true);
        PERFORM lock_rows(
            ARRAY(SELECT one->>'tap_path' FROM jsonb_array_elements(asked) AS one),
            ARRAY(SELECT one->>'card_uid' FROM jsonb_array_elements(asked) AS one WHERE one->>'kind' = 'question'),
            ARRAY(SELECT (one->>'pour_id')::uuid FROM jsonb_array_elements(asked) AS one WHERE one ? 'pour_id'));
        PERFORM set_config('lock_timeout', '0', true);
    END IF;
    RETURN QUERY SELECT CASE one->>'kind'
        WHEN 'question' THEN lock_question(
            one->>'tap_path', one->>'card_uid', (one->>'journal_id')::uuid, (one->>'event_id')::uuid)
        ELSE lock_report(
            one->>'tap_path', (one->>'pour_id')::uuid, one->>'card_uid', (one->>'volume_ml')::bigint,
            (one->>'from_ml')::bigint, (one->>'to_ml')::bigint, (one->>'journal_id')::uuid)
        END
    FROM jsonb_array_elements(asked) WITH ORDINALITY AS each(one, place) ORDER BY place;
END $$
-- end of function

CREATE FUNCTION lock_rows(tap_paths text[], card_uids text[], pour_ids uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    visit_ids uuid[];
    guest_ids uuid[];
    keg_ids uuid[];
BEGIN
    PERFORM 1 FROM taps WHERE tap_path = ANY(tap_paths) ORDER BY tap_path FOR NO KEY UPDATE;
    PERFORM 1 FROM cards WHERE card_uid = ANY(card_uids) ORDER BY card_uid FOR NO KEY UPDATE;
    pour_ids := pour_ids || ARRAY(SELECT pour_id FROM pours WHERE tap_path = ANY(tap_paths) AND sync_status = 'pending_sync');
    SELECT array_agg(visit_id), array_agg(guest_id), array_agg(keg_id) INTO visit_ids, guest_ids, keg_ids
        FROM pours WHERE pour_id = ANY(pour_ids);
    visit_ids := visit_ids || ARRAY(SELECT visit_id FROM visits WHERE card_uid = ANY(card_uids) AND status = 'active');
    PERFORM 1 FROM visits WHERE visit_id = ANY(visit_ids) ORDER BY visit_id FOR NO KEY UPDATE;
    guest_ids := guest_ids || ARRAY(SELECT guest_id FROM visits WHERE visit_id = ANY(visit_ids));
    PERFORM 1 FROM guests WHERE guest_id = ANY(guest_ids) ORDER BY guest_id FOR NO KEY UPDATE;
    keg_ids := keg_ids || ARRAY(SELECT keg_id FROM taps WHERE tap_path = ANY(tap_paths));
    PERFORM 1 FROM kegs WHERE keg_id = ANY(keg_ids) ORDER BY keg_id FOR NO KEY UPDATE;
    PERFORM 1 FROM pours WHERE pour_id = ANY(pour_ids) ORDER BY pour_id FOR NO KEY UPDATE;
END $$
-- end of function

CREATE FUNCTION apply_together(decided jsonb) RETURNS void
LANGUAGE sql AS $$
    SELECT apply_changes(changes) FROM jsonb_array_elements(decided) AS changes
$$
-- end of function
