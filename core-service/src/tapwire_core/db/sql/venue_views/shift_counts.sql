CREATE OR REPLACE VIEW shift_counts AS SELECT * FROM public.shift_counts WHERE sees_venue(venue_id);
