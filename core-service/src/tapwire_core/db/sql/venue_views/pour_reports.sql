CREATE OR REPLACE VIEW pour_reports AS SELECT * FROM public.pour_reports WHERE sees_venue(split_part(tap_path, '/', 1));
