-- A tap with its current venue, open shift, keg and price.
CREATE OR REPLACE VIEW tap_now AS
SELECT tap.tap_path, jsonb_build_object(
    'venue_id', tap.venue_id,
    'shift_id', shift.shift_id,
    'keg_id', keg.keg_id,
    'keg_ml', keg.book_volume_ml,
    'price_minor', beverage.sell_price_per_liter_minor
) AS facts
FROM taps tap
LEFT JOIN kegs keg USING (keg_id)
LEFT JOIN beverages beverage USING (beverage_id)
LEFT JOIN shifts shift ON shift.venue_id = tap.venue_id AND shift.status = 'open';
