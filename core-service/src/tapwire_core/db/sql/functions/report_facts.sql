-- The facts for settling reports, each with its place in `asked`; read under the locks of `lock_together`.
CREATE OR REPLACE FUNCTION report_facts(asked jsonb) RETURNS TABLE (place bigint, facts jsonb)
LANGUAGE sql STABLE AS $$
    SELECT one.place, CASE
        WHEN tap.tap_path IS NULL THEN NULL
        WHEN earlier.report_id IS NOT NULL THEN jsonb_build_object('earlier_verdict', earlier.verdict)
        ELSE jsonb_build_object(
            'facts', jsonb_build_object(
                'tap', tap.facts, 'pour', of_pour.facts, 'set_back', coalesce(journal.set_back_boots ? one.boot_id::text, false)),
            'overlapping', (
                SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
                FROM overlapping_stretches(one.tap_path, one.journal_id, one.from_ml, one.to_ml) AS stretch))
        END AS facts
    FROM ROWS FROM (jsonb_to_recordset(asked) AS (
        kind text, tap_path text, pour_id uuid, volume_ml bigint, from_ml bigint, to_ml bigint, journal_id uuid,
        boot_id uuid)) WITH ORDINALITY
        AS one(kind, tap_path, pour_id, volume_ml, from_ml, to_ml, journal_id, boot_id, place)
    LEFT JOIN tap_now tap ON tap.tap_path = one.tap_path
    LEFT JOIN pour_reports earlier ON earlier.pour_id = one.pour_id AND earlier.tap_path = one.tap_path
        AND earlier.volume_ml = one.volume_ml
        AND earlier.odometer_from_ml IS NOT DISTINCT FROM one.from_ml
        AND earlier.odometer_to_ml IS NOT DISTINCT FROM one.to_ml
    LEFT JOIN pours its ON its.pour_id = one.pour_id AND its.tap_path = one.tap_path
    LEFT JOIN pour_facts of_pour ON of_pour.pour_id = its.pour_id
    LEFT JOIN tap_journals journal ON journal.tap_path = one.tap_path AND journal.journal_id = one.journal_id
    WHERE one.kind = 'report'
$$;
