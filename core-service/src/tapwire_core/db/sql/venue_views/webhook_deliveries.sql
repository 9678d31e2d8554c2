CREATE OR REPLACE VIEW webhook_deliveries AS SELECT * FROM public.webhook_deliveries WHERE false;
