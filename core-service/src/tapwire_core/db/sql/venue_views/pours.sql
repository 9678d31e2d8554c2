CREATE OR REPLACE VIEW pours AS SELECT * FROM public.pours WHERE sees_venue(venue_id);
