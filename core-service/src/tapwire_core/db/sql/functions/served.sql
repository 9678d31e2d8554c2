-- What counts against a guest's serving limit at a venue, in the limit's unit: what their pours' kegs gave since the last re-arm,
-- of those authorised within the window; for a pending pour at least what it may pour. `of_pour`: the part of one pour.
-- `oldest_at`: when the oldest of them that counts anything was authorised. Collation and time zone are those of
-- the index made for this: no other index answers it, however old the planner's statistics are.
CREATE OR REPLACE FUNCTION served(of_guest uuid, at_venue text, measure text, window_minutes bigint, one_pour uuid)
RETURNS TABLE (used bigint, of_pour bigint, oldest_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(counted.amount), 0)::bigint,
        coalesce(sum(counted.amount) FILTER (WHERE counted.pour_id = one_pour), 0)::bigint,
        min(counted.authorized_at) FILTER (WHERE counted.amount > 0)
    FROM (
        SELECT pours.pour_id, pours.authorized_at, serving_measure(
            measure,
            CASE sync_status WHEN 'pending_sync' THEN greatest(stock_ml, max_volume_ml) ELSE stock_ml END,
            abv_hundredths) AS amount
        FROM pours
        WHERE pours.guest_id = of_guest AND pours.venue_id COLLATE "C" = at_venue
            AND pours.armed_at = (
                SELECT coalesce(max(rearmed_at), '-infinity') FROM visits
                WHERE visits.guest_id = of_guest AND visits.venue_id = at_venue AND rearmed_at IS NOT NULL)
            AND pours.authorized_at AT TIME ZONE 'UTC'
                > coalesce((now() - window_minutes * interval '1 minute') AT TIME ZONE 'UTC', '-infinity')
    ) AS counted
$$;
