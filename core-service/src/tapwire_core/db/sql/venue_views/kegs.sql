CREATE OR REPLACE VIEW kegs AS SELECT * FROM public.kegs WHERE sees_venue(venue_id);
