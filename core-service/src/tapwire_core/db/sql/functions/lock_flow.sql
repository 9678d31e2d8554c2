-- Locks the rows that an unattributed flow touches and returns its facts; null when there is no such tap.
CREATE OR REPLACE FUNCTION lock_flow(asked_tap text, said_event uuid, said_journal uuid, said_from_ml bigint, said_to_ml bigint)
RETURNS jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    leak jsonb;
BEGIN
    PERFORM FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM kegs WHERE keg_id = (SELECT keg_id FROM taps WHERE tap_path = asked_tap) FOR NO KEY UPDATE;
    SELECT jsonb_build_object('incident_id', incident_id, 'details', details) INTO leak FROM incidents
        WHERE kind = 'unattributed_flow' AND cause = asked_tap AND status <> 'resolved' FOR NO KEY UPDATE;
    PERFORM share_open_shift(asked_tap);
    RETURN jsonb_build_object(
        'recorded', EXISTS (SELECT FROM flows WHERE tap_path = asked_tap AND event_id = said_event),
        'tap', (SELECT facts FROM tap_now WHERE tap_path = asked_tap),
        'overlapping', (
            SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
            FROM overlapping_stretches(asked_tap, said_journal, said_from_ml, said_to_ml) AS stretch),
        'leak', leak,
        'set_back_boots', coalesce(
            (SELECT set_back_boots FROM tap_journals WHERE tap_path = asked_tap AND journal_id = said_journal), '[]')
    );
END $$;
