-- The time at which a tap's next cleaning is due: its interval after the last cleaning, else after the interval was set.
CREATE OR REPLACE FUNCTION cleaning_due_at(last_cleaned_at timestamptz, interval_set_at timestamptz, interval_days bigint)
RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT coalesce(last_cleaned_at, interval_set_at) + make_interval(hours => 24 * interval_days::int)
$$;
