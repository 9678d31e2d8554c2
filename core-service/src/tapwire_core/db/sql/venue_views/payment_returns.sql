CREATE OR REPLACE VIEW payment_returns AS SELECT * FROM public.payment_returns WHERE sees_venue(venue_id);
