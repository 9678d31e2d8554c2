CREATE OR REPLACE VIEW check_outs AS
SELECT * FROM public.check_outs
WHERE sees_venue((SELECT venue_id FROM public.visits WHERE visits.visit_id = check_outs.visit_id));
