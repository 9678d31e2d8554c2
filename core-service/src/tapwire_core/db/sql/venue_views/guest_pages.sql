CREATE OR REPLACE VIEW guest_pages AS SELECT * FROM public.guest_pages WHERE sees_venue(venue_of_visit(visit_id));
