-- True for a wait or lifetime that has ended, or that would last longer than any may: it began before the clock was set back.
-- A plain expression without SET lines: the planner puts it into the statement, which keeps the use of indexes.
CREATE OR REPLACE FUNCTION is_over(ends_at timestamptz, longest interval) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT ends_at <= now() OR ends_at > now() + longest
$$;
