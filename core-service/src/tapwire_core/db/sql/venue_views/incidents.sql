CREATE OR REPLACE VIEW incidents AS SELECT * FROM public.incidents WHERE sees_venue(venue_id);
