-- True when a keg has at most 15 per cent of its initial volume left.
CREATE OR REPLACE FUNCTION keg_is_low(book_volume_ml bigint, initial_volume_ml bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT book_volume_ml * 100 <= initial_volume_ml * 15
$$;
