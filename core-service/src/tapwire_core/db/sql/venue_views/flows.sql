CREATE OR REPLACE VIEW flows AS SELECT * FROM public.flows WHERE sees_venue(venue_id);
