CREATE OR REPLACE VIEW taps AS SELECT * FROM public.taps WHERE sees_venue(venue_id);
