-- True for a moment within this time before or after now: what lies further ahead was written before the clock was set back.
-- A plain expression without SET lines: the planner puts it into the statement, which keeps the use of indexes.
CREATE OR REPLACE FUNCTION is_recent(moment timestamptz, width interval) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT moment BETWEEN now() - width AND now() + width
$$;
