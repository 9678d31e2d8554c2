-- The stretches of a journal's odometer that overlap a given one; a hole with its incident, and the sales booked by resolving it.
CREATE OR REPLACE FUNCTION overlapping_stretches(at_tap text, of_journal uuid, said_from_ml bigint, said_to_ml bigint)
RETURNS TABLE (stretch_id bigint, from_ml bigint, to_ml bigint, fact_id uuid, is_hole boolean, keg_id uuid, boot_id uuid, gap jsonb)
LANGUAGE sql STABLE AS $$
    SELECT stretch.stretch_id, stretch.from_ml, stretch.to_ml, stretch.fact_id, stretch.is_hole, stretch.keg_id,
        stretch.boot_id,
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
$$;
