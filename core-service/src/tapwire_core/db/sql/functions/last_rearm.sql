-- A guest's last re-arm at a venue, in whichever visit; before the first one the beginning of time.
CREATE OR REPLACE FUNCTION last_rearm(of_guest uuid, at_venue text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(rearmed_at), '-infinity')
    FROM visits WHERE guest_id = of_guest AND venue_id = at_venue AND rearmed_at IS NOT NULL
$$;
