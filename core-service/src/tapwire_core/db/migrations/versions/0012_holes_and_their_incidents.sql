-- The stretches of a journal's odometer that overlap a given one; a hole with its incident, and what ending that has booked.
CREATE FUNCTION overlapping_stretches(at_tap text, of_journal uuid, said_from_ml bigint, said_to_ml bigint)
RETURNS TABLE (stretch_id bigint, from_ml bigint, to_ml bigint, fact_id uuid, is_hole boolean, keg_id uuid, gap jsonb)
LANGUAGE sql STABLE AS $$
    SELECT stretch.stretch_id, stretch.from_ml, stretch.to_ml, stretch.fact_id, stretch.is_hole, stretch.keg_id,
        CASE WHEN stretch.is_hole THEN (
            SELECT jsonb_build_object(
                'incident_id', incident.incident_id,
                'is_resolved', incident.status = 'resolved',
                'volume_ml', incident.details->'volume_ml',
                'value_minor', incident.details->'value_minor',
                'booked_minor', (
                    SELECT coalesce(sum(moved.amount_minor), 0) FROM money_movements moved
                    WHERE moved.incident_id = incident.incident_id AND moved.credit_account = 'sales'))
            FROM incidents incident WHERE incident.incident_id = stretch.fact_id)
        END
    FROM odometer_stretches stretch
    WHERE stretch.tap_path = at_tap AND stretch.journal_id = of_journal
    AND stretch.to_ml > said_from_ml AND stretch.from_ml < said_to_ml
$$
-- end of function

-- Holes from before have ids of their own.
UPDATE odometer_stretches stretch SET fact_id = incident.incident_id
FROM incidents incident, jsonb_to_record(incident.details) AS gap(journal_id uuid, from_ml bigint, to_ml bigint)
WHERE incident.kind = 'volume_gap' AND stretch.is_hole AND stretch.tap_path = incident.tap_path
AND stretch.journal_id = gap.journal_id AND stretch.from_ml >= gap.from_ml AND stretch.to_ml <= gap.to_ml
-- end of function

-- Of what facts had filled before, nothing was taken off.
UPDATE incidents SET details = details || jsonb_build_object(
    'volume_ml', hole.left_ml,
    'value_minor', round((details->>'value_minor')::numeric * hole.left_ml / (details->>'volume_ml')::bigint)::bigint)
FROM (
    SELECT gap.incident_id, coalesce(sum(stretch.to_ml - stretch.from_ml), 0)::bigint AS left_ml
    FROM incidents gap LEFT JOIN odometer_stretches stretch ON stretch.fact_id = gap.incident_id
    WHERE gap.kind = 'volume_gap' AND gap.status <> 'resolved'
    GROUP BY gap.incident_id
) AS hole
WHERE incidents.incident_id = hole.incident_id AND hole.left_ml < (details->>'volume_ml')::bigint
-- end of function

UPDATE incidents SET status = 'resolved', resolution = 'no_action', resolved_at = now(), resolved_by = 'core', comment = 'the fact came'
WHERE kind = 'volume_gap' AND status <> 'resolved' AND details->>'volume_ml' = '0'
-- end of function
