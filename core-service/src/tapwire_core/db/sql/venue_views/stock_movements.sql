CREATE OR REPLACE VIEW stock_movements AS SELECT * FROM public.stock_movements WHERE sees_venue(venue_id);
