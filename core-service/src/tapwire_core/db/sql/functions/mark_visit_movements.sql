-- Keeps with a visit the movements of money that its receipt is of: those after the latest one of the guest at opening, up to the
-- latest at closing. A guest's movements get their ids under the guest's lock, so their order is that of the commits; times are not.
CREATE OR REPLACE FUNCTION mark_visit_movements() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    latest bigint;
BEGIN
    SELECT coalesce(max(movement_id), 0) INTO latest FROM money_movements WHERE guest_id = NEW.guest_id;
    IF TG_OP = 'INSERT' THEN
        NEW.opened_after_movement := latest;
    ELSE
        NEW.closed_after_movement := latest;
    END IF;
    RETURN NEW;
END $$;
