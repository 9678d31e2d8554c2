-- What a volume counts against a serving limit: millilitres, or milligrams of ethanol (`domain/serving_limits.py`). A beverage
-- without alcohol counts nothing; one of unknown strength counts as pure ethanol.
CREATE OR REPLACE FUNCTION serving_measure(measure text, volume_ml bigint, abv_hundredths bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN abv_hundredths = 0 THEN 0
        WHEN measure = 'volume' THEN volume_ml
        ELSE (volume_ml * coalesce(abv_hundredths, 10000) * 789 + 5000) / 10000
    END
$$;
