CREATE OR REPLACE VIEW payments AS SELECT * FROM public.payments WHERE sees_venue(venue_id);
