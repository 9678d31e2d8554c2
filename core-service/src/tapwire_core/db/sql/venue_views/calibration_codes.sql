CREATE OR REPLACE VIEW calibration_codes AS SELECT * FROM public.calibration_codes WHERE sees_venue(venue_id);
