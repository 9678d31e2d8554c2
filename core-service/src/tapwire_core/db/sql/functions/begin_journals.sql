-- Notes the first odometer value of each journal whose first stretch, or an earlier one than was known, is among these changes.
CREATE OR REPLACE FUNCTION begin_journals(decided jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tap_journals AS journal (tap_path, journal_id, odometer_first_ml)
    SELECT tap_path, journal_id, min(from_ml)
    FROM jsonb_to_recordset(decided) AS change(tap_path text, stretches jsonb),
        jsonb_to_recordset(change.stretches) AS accounted(journal_id uuid, from_ml bigint)
    WHERE NOT EXISTS (
        SELECT FROM tap_journals known
        WHERE known.tap_path = change.tap_path AND known.journal_id = accounted.journal_id
        AND known.odometer_first_ml <= accounted.from_ml)
    GROUP BY tap_path, journal_id
    ON CONFLICT (tap_path, journal_id) DO UPDATE SET
        odometer_first_ml = excluded.odometer_first_ml, odometer_covered_ml = NULL;
END $$;
