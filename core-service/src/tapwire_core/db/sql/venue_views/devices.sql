CREATE OR REPLACE VIEW devices AS SELECT * FROM public.devices WHERE sees_venue(split_part(path, '/', 1));
