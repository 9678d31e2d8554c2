-- Locks a pour with its tap, visit, guest and keg, and returns it with the venue's open shift; null when there is no such pour.
CREATE OR REPLACE FUNCTION lock_pour(asked_pour uuid) RETURNS jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    pour pours%ROWTYPE;
BEGIN
    SELECT * INTO pour FROM pours WHERE pour_id = asked_pour;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM taps WHERE tap_path = pour.tap_path FOR NO KEY UPDATE;
    PERFORM FROM visits WHERE visit_id = pour.visit_id FOR NO KEY UPDATE;
    PERFORM FROM guests WHERE guest_id = pour.guest_id FOR NO KEY UPDATE;
    PERFORM FROM kegs WHERE keg_id = pour.keg_id FOR NO KEY UPDATE;
    PERFORM FROM pours WHERE pour_id = asked_pour FOR NO KEY UPDATE;
    RETURN jsonb_build_object(
        'pour', (SELECT facts FROM pour_facts WHERE pour_id = asked_pour),
        'shift_id', (SELECT shift_id FROM shifts WHERE venue_id = pour.venue_id AND status = 'open')
    );
END $$;
