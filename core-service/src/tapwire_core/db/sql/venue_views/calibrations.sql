CREATE OR REPLACE VIEW calibrations AS SELECT * FROM public.calibrations WHERE sees_venue(venue_id);
