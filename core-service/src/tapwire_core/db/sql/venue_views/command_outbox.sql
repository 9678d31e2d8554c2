CREATE OR REPLACE VIEW command_outbox AS SELECT * FROM public.command_outbox WHERE sees_venue(split_part(tap_path, '/', 1));
