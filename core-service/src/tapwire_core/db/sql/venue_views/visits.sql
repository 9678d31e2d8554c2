CREATE OR REPLACE VIEW visits AS SELECT * FROM public.visits WHERE sees_venue(venue_id);
