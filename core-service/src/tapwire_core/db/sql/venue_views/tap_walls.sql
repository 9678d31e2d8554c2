CREATE OR REPLACE VIEW tap_walls AS SELECT * FROM public.tap_walls WHERE sees_venue(venue_id);
