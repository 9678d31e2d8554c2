CREATE OR REPLACE VIEW payment_returns AS
SELECT payment_returns.* FROM public.payment_returns
WHERE EXISTS (
    SELECT FROM public.payments WHERE payments.payment_id = payment_returns.payment_id AND sees_venue(payments.venue_id));
