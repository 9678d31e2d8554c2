CREATE OR REPLACE VIEW node_status AS SELECT * FROM public.node_status WHERE sees_venue(split_part(path, '/', 1));
