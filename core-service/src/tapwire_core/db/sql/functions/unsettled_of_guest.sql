-- What keeps a guest from being erased, each with its ids or its amount; null for a guest with whom all is settled.
CREATE OR REPLACE FUNCTION unsettled_of_guest(one uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT nullif(jsonb_strip_nulls(jsonb_build_object(
        'active_visit_id', (SELECT visit_id FROM visits WHERE guest_id = one AND status = 'active'),
        'pending_pour_ids', (SELECT jsonb_agg(pour_id) FROM pours WHERE guest_id = one AND sync_status = 'pending_sync'),
        'pending_payment_ids', (
            SELECT jsonb_agg(payment_id ORDER BY created_at, payment_id) FROM payments
            WHERE guest_id = one AND (status = 'pending' OR EXISTS (
                SELECT FROM payment_returns AS back WHERE back.payment_id = payments.payment_id AND back.status = 'due'))),
        'balance_minor', (SELECT nullif(balance_minor, 0) FROM guests WHERE guest_id = one),
        'deposit_minor', (SELECT nullif(sum(deposit_minor), 0) FROM cards WHERE guest_id = one),
        'incident_ids', (
            SELECT jsonb_agg(incident_id ORDER BY raised_at, incident_id) FROM incidents_of_guest(one) WHERE status <> 'resolved')
    )), '{}')
$$;
