CREATE OR REPLACE VIEW dead_letters AS SELECT * FROM public.dead_letters WHERE sees_venue(split_part(device, '/', 1));
