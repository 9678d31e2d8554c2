-- True for a venue of the transaction's scope (`Database.read`); never for null, nor without a scope.
CREATE OR REPLACE FUNCTION sees_venue(venue_id text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT venue_id = ANY (string_to_array(current_setting('tapwire.venues', true), ' '))
$$;
