CREATE OR REPLACE VIEW webhooks AS SELECT * FROM public.webhooks WHERE false;
