CREATE OR REPLACE VIEW tap_cleanings AS SELECT * FROM public.tap_cleanings WHERE sees_venue(venue_id);
