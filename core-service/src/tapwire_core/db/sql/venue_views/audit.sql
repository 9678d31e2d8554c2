CREATE OR REPLACE VIEW audit AS SELECT * FROM public.audit WHERE sees_venue(venue_id);
