CREATE OR REPLACE VIEW check_outs AS SELECT * FROM public.check_outs WHERE sees_venue(venue_of_visit(visit_id));
