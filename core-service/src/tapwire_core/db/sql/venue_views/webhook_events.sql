CREATE OR REPLACE VIEW webhook_events AS SELECT * FROM public.webhook_events WHERE false;
