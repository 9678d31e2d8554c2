-- Locks a tap and returns a journal's odometer; null when there is no such tap, or a pour of it is pending.
CREATE OR REPLACE FUNCTION lock_odometer(asked_tap text, said_journal uuid) RETURNS jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    journal tap_journals%ROWTYPE;
BEGIN
    PERFORM FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM pours WHERE tap_path = asked_tap AND sync_status = 'pending_sync') THEN
        RETURN NULL;
    END IF;
    PERFORM FROM kegs WHERE keg_id = (SELECT keg_id FROM taps WHERE tap_path = asked_tap) FOR NO KEY UPDATE;
    PERFORM share_open_shift(asked_tap);
    SELECT * INTO journal FROM tap_journals WHERE tap_path = asked_tap AND journal_id = said_journal;
    RETURN jsonb_build_object(
        'tap', (SELECT facts FROM tap_now WHERE tap_path = asked_tap),
        'odometer', jsonb_build_object(
            'first_ml', journal.odometer_first_ml,
            'covered_ml', journal.odometer_covered_ml,
            'stretches', (
                SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
                FROM odometer_stretches stretch
                WHERE tap_path = asked_tap AND journal_id = said_journal AND to_ml > coalesce(journal.odometer_covered_ml, -1)
            )
        )
    );
END $$;
