-- A guest's account belongs to the installation: of another venue's movement accounts, amount and time are seen.
CREATE OR REPLACE VIEW money_movements AS
SELECT
    movement_id, debit_account, credit_account, amount_minor, guest_id,
    CASE WHEN sees_venue(venue_id) THEN venue_id END AS venue_id,
    CASE WHEN sees_venue(venue_id) THEN shift_id END AS shift_id,
    CASE WHEN sees_venue(venue_id) THEN pour_id END AS pour_id,
    CASE WHEN sees_venue(venue_id) THEN incident_id END AS incident_id,
    CASE WHEN sees_venue(venue_id) THEN reason END AS reason,
    CASE WHEN sees_venue(venue_id) THEN actor END AS actor,
    CASE WHEN sees_venue(venue_id) THEN request_id END AS request_id,
    created_at,
    house_credit_minor,
    CASE WHEN sees_venue(venue_id) THEN reverses_movement_id END AS reverses_movement_id,
    CASE WHEN sees_venue(venue_id) THEN count_id END AS count_id,
    CASE WHEN sees_venue(venue_id) THEN payment_id END AS payment_id,
    CASE WHEN sees_venue(venue_id) THEN payment_return_id END AS payment_return_id
FROM public.money_movements;
