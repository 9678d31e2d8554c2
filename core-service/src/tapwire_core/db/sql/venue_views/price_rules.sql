CREATE OR REPLACE VIEW price_rules AS SELECT * FROM public.price_rules WHERE sees_venue(venue_id);
