CREATE OR REPLACE VIEW device_pairings AS SELECT * FROM public.device_pairings WHERE sees_venue(split_part(path, '/', 1));
