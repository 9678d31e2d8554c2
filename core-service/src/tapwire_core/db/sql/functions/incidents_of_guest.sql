-- The incidents of a guest's pours and payments.
CREATE OR REPLACE FUNCTION incidents_of_guest(one uuid) RETURNS SETOF incidents
LANGUAGE sql STABLE AS $$
    SELECT incidents.* FROM pours JOIN incidents USING (pour_id) WHERE pours.guest_id = one AND kind <> 'missing_pending'
    UNION ALL
    SELECT incidents.* FROM payments JOIN payment_returns USING (payment_id)
    JOIN incidents ON kind = 'payment_reversed' AND incidents.cause = return_id::text WHERE payments.guest_id = one
    UNION ALL
    SELECT incidents.* FROM payments JOIN incidents ON kind = 'payment_mismatch' AND incidents.cause = payment_id::text
    WHERE payments.guest_id = one
$$;
