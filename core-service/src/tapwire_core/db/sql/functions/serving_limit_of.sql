-- A venue's serving limit as the API has it; null without one.
CREATE OR REPLACE FUNCTION serving_limit_of(measure text, amount bigint, window_minutes bigint) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE measure
        WHEN 'volume' THEN jsonb_build_object('measure', measure, 'limit_ml', amount, 'window_minutes', window_minutes)
        WHEN 'ethanol' THEN jsonb_build_object('measure', measure, 'limit_mg', amount, 'window_minutes', window_minutes)
    END
$$;
