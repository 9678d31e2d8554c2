-- The price rules of a venue that may be on now, and what its wall clock shows; no row for a venue without rules.
CREATE OR REPLACE VIEW price_rules_now AS
SELECT venue_id, jsonb_build_object(
    'moment', now(),
    'time_zone', venue.time_zone,
    'wall_time', now() AT TIME ZONE venue.time_zone,
    'rules', jsonb_agg(to_jsonb(rule) ORDER BY price_rule_id)
) AS facts
FROM price_rules rule JOIN venues venue USING (venue_id)
WHERE deleted_at IS NULL
-- a period lasts for a day at most
AND coalesce(valid_from <= (now() AT TIME ZONE venue.time_zone)::date, true)
AND coalesce(valid_to >= (now() AT TIME ZONE venue.time_zone)::date - 1, true)
GROUP BY venue_id, venue.time_zone;
