-- Raises the incidents of decisions, once per kind and cause while unresolved. A device that has raised its hour's budget of them
-- raises no further ones: they are folded into its incident `device_misbehaving`.
-- Kinds that can't be many, one per tap, keg or pending pour, are raised all the same.
CREATE OR REPLACE FUNCTION raise_incidents(decided jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT change.venue_id, change.tap_path, change.incident_budget, raised.*
        FROM jsonb_to_recordset(decided) AS change(venue_id text, tap_path text, incident_budget bigint, raised jsonb),
            jsonb_to_recordset(change.raised) AS raised(incident_id uuid, kind text, cause text, pour_id uuid, details jsonb)
    LOOP
        UPDATE incidents SET occurrences = occurrences + 1, last_seen_at = now()
        WHERE kind = one.kind AND cause = one.cause AND status <> 'resolved';
        CONTINUE WHEN FOUND;
        IF one.kind NOT IN ('keg_overdrawn', 'journal_lost', 'sync_timeout', 'journal_set_back', 'identity_conflict') AND (
            SELECT count(*) FROM (
                SELECT FROM incidents
                WHERE tap_path = one.tap_path AND is_recent(raised_at, interval '1 hour')
                LIMIT one.incident_budget) AS recent) >= one.incident_budget
        THEN
            PERFORM count_misbehaviour(
                one.tap_path, one.venue_id, 'incidents', 1,
                jsonb_build_object('kind', one.kind, 'cause', left(one.cause, 200), 'details', left(one.details::text, 500)),
                (one.details->>'volume_ml')::bigint);
        ELSE
            INSERT INTO incidents AS incident (incident_id, kind, cause, venue_id, tap_path, pour_id, details)
            VALUES (
                coalesce(one.incident_id, gen_random_uuid()), one.kind, one.cause, one.venue_id, one.tap_path, one.pour_id,
                one.details)
            ON CONFLICT (kind, cause) WHERE status <> 'resolved' DO UPDATE SET
                occurrences = incident.occurrences + 1, last_seen_at = now();
        END IF;
    END LOOP;
END $$;
