-- Each keg on a tap: its pace, when it is empty at that pace, and whether it is low or past its best-before date.
-- `is_low` is the one condition of the incident `keg_low` and of `almost_gone` of a tap list.
-- The pace is what its pours of the last 60 minutes gave, null in the first 10 minutes on the tap. Only the index by the time of
-- authorisation answers that, so the cost follows the last hour's pours, not all that a keg has given.
CREATE OR REPLACE VIEW keg_outlook AS
SELECT tap.tap_path, tap.venue_id, keg.keg_id, pace.ml_per_hour, forecast.empties_at,
    keg.book_volume_ml * 100 <= keg.initial_volume_ml * venue.keg_low_percent
        OR coalesce(forecast.empties_at <= now() + venue.keg_low_minutes * interval '1 minute', false) AS is_low,
    coalesce(keg.best_before < (now() AT TIME ZONE venue.time_zone)::date, false) AS is_expired
FROM taps tap
JOIN kegs keg USING (keg_id)
JOIN venues venue ON venue.venue_id = tap.venue_id
LEFT JOIN (
    SELECT keg_id, sum(stock_ml)::bigint AS poured_ml
    FROM pours WHERE authorized_at > now() - interval '60 minutes' AND authorized_at <= now() GROUP BY keg_id
) AS recent ON recent.keg_id = keg.keg_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN keg.on_tap_since <= now() - interval '10 minutes' AND recent.poured_ml > 0 THEN recent.poured_ml END AS ml_per_hour
) AS pace
CROSS JOIN LATERAL (
    SELECT now() + greatest(keg.book_volume_ml, 0) * 3600 / pace.ml_per_hour * interval '1 second' AS empties_at
) AS forecast;
