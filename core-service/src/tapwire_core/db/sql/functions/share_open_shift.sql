-- Keeps the open shift of the tap's venue from being closed before this transaction ends.
CREATE OR REPLACE FUNCTION share_open_shift(asked_tap text) RETURNS void
LANGUAGE sql AS $$
    SELECT 1 FROM shifts
    WHERE status = 'open' AND venue_id = (SELECT venue_id FROM taps WHERE tap_path = asked_tap)
    FOR SHARE
$$;
