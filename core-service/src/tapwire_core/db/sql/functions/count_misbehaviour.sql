-- Adds to a device's incident `device_misbehaving`: `seen` times something beyond its budget, with one sample of it. `what` is
-- `incidents`, `dead_letters` or `undecided`. Five samples are kept. A device without a path is all that name no known one.
CREATE OR REPLACE FUNCTION count_misbehaviour(
    device text, venue text, what text, seen bigint, sample jsonb, volume_ml bigint DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO incidents AS incident (incident_id, kind, cause, venue_id, tap_path, details, occurrences)
    VALUES (
        gen_random_uuid(), 'device_misbehaving', coalesce(device, 'no device'), venue, device,
        jsonb_build_object(
            'incidents', 0, 'dead_letters', 0, 'undecided', 0, 'muted', seen, what, seen,
            'samples', jsonb_build_array(sample || jsonb_build_object('of', what)))
        || CASE WHEN volume_ml IS NULL THEN '{}' ELSE jsonb_build_object('volume_ml', volume_ml) END,
        seen)
    ON CONFLICT (kind, cause) WHERE status <> 'resolved' DO UPDATE SET
        occurrences = incident.occurrences + seen, last_seen_at = now(),
        details = incident.details
            || jsonb_build_object(
                'muted', (incident.details->>'muted')::bigint + seen,
                what, (incident.details->>what)::bigint + seen)
            || CASE WHEN volume_ml IS NULL THEN '{}' ELSE jsonb_build_object(
                'volume_ml', coalesce((incident.details->>'volume_ml')::bigint, 0) + volume_ml) END
            || CASE WHEN jsonb_array_length(incident.details->'samples') >= 5 THEN '{}' ELSE jsonb_build_object(
                'samples', incident.details->'samples' || (sample || jsonb_build_object('of', what))) END;
$$;
