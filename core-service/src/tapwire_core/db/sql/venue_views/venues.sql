CREATE OR REPLACE VIEW venues AS SELECT * FROM public.venues WHERE sees_venue(venue_id);
