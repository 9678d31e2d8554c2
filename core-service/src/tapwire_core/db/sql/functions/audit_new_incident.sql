-- Writes each new incident to the audit log; a recurrence is only counted.
CREATE OR REPLACE FUNCTION audit_new_incident() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (action, actor, subjects, details, venue_id)
    VALUES (
        'incident_raised', 'core',
        array_remove(ARRAY[NEW.incident_id::text, NEW.pour_id::text, NEW.tap_path, NEW.venue_id], NULL),
        NEW.details || jsonb_build_object('kind', NEW.kind),
        NEW.venue_id);
    RETURN NULL;
END $$;
