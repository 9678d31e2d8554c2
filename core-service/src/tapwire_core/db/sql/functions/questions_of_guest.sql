-- The questions that a guest's cards asked at taps: those of their pours, and by the audit log those that were denied.
CREATE OR REPLACE FUNCTION questions_of_guest(one uuid) RETURNS TABLE (tap_path text, event_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT pours.tap_path, pours.request_id FROM pours WHERE pours.guest_id = one
    UNION
    SELECT subjects[1], (details->>'request_id')::uuid FROM audit
    WHERE subjects @> ARRAY[one::text] AND action IN ('pour_denied', 'insufficient_funds_denied')
$$;
