-- The venue of a visit. Venue views call it: a view that named another table would depend on which of the views came first.
CREATE OR REPLACE FUNCTION venue_of_visit(asked uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT venue_id FROM public.visits WHERE visit_id = asked
$$;
