-- Names the venue of an audit entry whose writer named none: that of its device, or of the thing that it is about.
CREATE OR REPLACE FUNCTION name_audit_venue() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[];
BEGIN
    IF NEW.action IN ('venue_created', 'venue_changed', 'emergency_stop_on', 'emergency_stop_off') THEN
        NEW.venue_id := NEW.subjects[1];
        RETURN NEW;
    END IF;
    SELECT split_part(subject, '/', 1) INTO NEW.venue_id
    FROM unnest(NEW.subjects) AS subject WHERE subject LIKE '%/taps/%' OR subject LIKE '%/readers/%' LIMIT 1;
    IF NEW.venue_id IS NULL THEN
        ids := ARRAY(
            SELECT subject::uuid FROM unnest(NEW.subjects) AS subject
            WHERE subject ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$');
        NEW.venue_id := coalesce(
            (SELECT venue_id FROM visits WHERE visit_id = ANY (ids) LIMIT 1),
            (SELECT venue_id FROM pours WHERE pour_id = ANY (ids) LIMIT 1),
            (SELECT venue_id FROM kegs WHERE keg_id = ANY (ids) LIMIT 1),
            (SELECT venue_id FROM shifts WHERE shift_id = ANY (ids) LIMIT 1),
            (SELECT venue_id FROM incidents WHERE incident_id = ANY (ids) LIMIT 1),
            (SELECT venue_id FROM price_rules WHERE price_rule_id = ANY (ids) LIMIT 1));
    END IF;
    RETURN NEW;
END $$;
