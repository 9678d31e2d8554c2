CREATE OR REPLACE VIEW shifts AS SELECT * FROM public.shifts WHERE sees_venue(venue_id);
