-- Books what the books still have of finished kegs as their finish says, or takes it back: their book volume is 0 then. A keg with a
-- pending pour waits for its end. For `apply_together`, after it has ended the pours and moved the stock of `decided`.
CREATE OR REPLACE FUNCTION book_finished_kegs(decided jsonb) RETURNS void
LANGUAGE sql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
    WITH touched AS (
        SELECT DISTINCT ON (keg_id) keg_id, tap_path, shift_id, actor
        FROM jsonb_to_recordset(decided) AS change(
            tap_path text, shift_id uuid, actor text, ended jsonb, stock jsonb, keg_finished uuid), LATERAL (
                SELECT pours.keg_id FROM jsonb_to_recordset(change.ended) AS ended(pour_id uuid) JOIN pours USING (pour_id)
                UNION ALL
                SELECT keg_id FROM jsonb_to_recordset(change.stock) AS moved(keg_id uuid)
                UNION ALL
                SELECT change.keg_finished
            ) AS one
        WHERE keg_id IS NOT NULL
        ORDER BY keg_id
    ), booked AS (
        INSERT INTO stock_movements (keg_id, kind, volume_ml, venue_id, tap_path, shift_id, reason, actor)
        SELECT keg_id, CASE finish WHEN 'kicked' THEN 'yield_loss' ELSE finish END, book_volume_ml, kegs.venue_id, touched.tap_path,
            touched.shift_id, finish_reason, touched.actor
        FROM touched JOIN kegs USING (keg_id)
        WHERE finished_at IS NOT NULL AND book_volume_ml <> 0 AND NOT EXISTS (
            SELECT FROM pours WHERE pours.keg_id = kegs.keg_id AND sync_status = 'pending_sync')
        RETURNING keg_id, volume_ml
    )
    UPDATE kegs SET book_volume_ml = book_volume_ml - booked.volume_ml FROM booked WHERE kegs.keg_id = booked.keg_id
$$;
