-- Writes the changes of decisions (`tapwire_core.domain.changes`). `lock_together` has locked the rows, and no two decisions touch
-- the same one. Balances, holds and book volumes are derived only from the movements and pours written here.
CREATE OR REPLACE FUNCTION apply_together(decided jsonb) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET enable_bitmapscan = off
AS $$
DECLARE
    present text[];
    ended_finished boolean;
    moved_finished boolean;
BEGIN
    present := ARRAY(SELECT jsonb_object_keys(change) FROM jsonb_array_elements(decided) AS change);

    IF 'ended' = ANY(present) THEN
        WITH ended_pours AS (
            UPDATE pours SET
                sync_status = ended.sync_status,
                volume_ml = ended.volume_ml,
                amount_minor = ended.amount_minor,
                loss_minor = ended.loss_minor,
                stock_ml = coalesce(said.stock_ml, ended.volume_ml),
                reported = pours.reported OR said.stock_ml IS NOT NULL,
                report_refused = report_refused OR (said.pour_id IS NOT NULL AND said.stock_ml IS NULL),
                end_reason = ended.end_reason,
                duration_ms = ended.duration_ms,
                settled_at = now(), settled_shift_id = change.shift_id, settled_by = change.actor
            FROM jsonb_to_recordset(decided) AS change(shift_id uuid, actor text, ended jsonb, reported jsonb)
            CROSS JOIN LATERAL jsonb_to_recordset(change.ended) AS ended(
                pour_id uuid, sync_status text, volume_ml bigint, amount_minor bigint, loss_minor bigint, end_reason text,
                duration_ms bigint)
            LEFT JOIN LATERAL jsonb_to_record(change.reported) AS said(pour_id uuid, stock_ml bigint) ON said.pour_id = ended.pour_id
            WHERE pours.pour_id = ended.pour_id AND pours.sync_status = 'pending_sync'
            RETURNING pours.keg_id)
        SELECT bool_or(finished_at IS NOT NULL) INTO ended_finished FROM ended_pours JOIN kegs USING (keg_id);
        UPDATE visits SET active_tap_id = NULL, lock_set_at = NULL
        FROM jsonb_to_recordset(decided) AS change(ended jsonb), jsonb_to_recordset(change.ended) AS ended(visit_id uuid)
        WHERE visits.visit_id = ended.visit_id;
    END IF;

    IF 'lock_cleared' = ANY(present) THEN
        UPDATE visits SET active_tap_id = NULL, lock_set_at = NULL
        FROM jsonb_to_recordset(decided) AS change(lock_cleared jsonb)
        WHERE visits.visit_id = (change.lock_cleared->>'visit_id')::uuid AND NOT EXISTS (
            SELECT FROM pours WHERE pours.visit_id = visits.visit_id AND sync_status = 'pending_sync');
    END IF;

    IF 'granted' = ANY(present) THEN
        INSERT INTO pours (
            pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, shift_id, request_id, journal_id, seq,
            sell_price_per_liter_minor, price_rule_id, max_volume_ml, hold_minor, boot_id, odometer_seen_ml, abv_hundredths, tax_rate_bp,
            armed_at)
        SELECT pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, shift_id, granted.request_id,
            journal_id, seq, sell_price_per_liter_minor, price_rule_id, max_volume_ml, hold_minor, boot_id, odometer_seen_ml,
            abv_hundredths, tax_rate_bp, (
                SELECT coalesce(max(rearmed_at), '-infinity') FROM visits its
                WHERE its.guest_id = granted.guest_id AND its.venue_id = change.venue_id AND rearmed_at IS NOT NULL)
        FROM jsonb_to_recordset(decided) AS change(tap_path text, venue_id text, shift_id uuid, granted jsonb),
            jsonb_to_record(change.granted) AS granted(
                pour_id uuid, visit_id uuid, guest_id uuid, card_uid text, keg_id uuid, beverage_id uuid, request_id uuid,
                journal_id uuid, seq bigint, sell_price_per_liter_minor bigint, price_rule_id uuid, max_volume_ml bigint,
                hold_minor bigint, boot_id uuid, odometer_seen_ml bigint, abv_hundredths bigint,
                tax_rate_bp bigint)
        WHERE change.granted IS NOT NULL;
        UPDATE visits SET active_tap_id = split_part(change.tap_path, '/', 3), lock_set_at = now()
        FROM jsonb_to_recordset(decided) AS change(tap_path text, granted jsonb)
        WHERE visits.visit_id = (change.granted->>'visit_id')::uuid;
    END IF;

    IF present && '{ended,granted,money}' THEN
        UPDATE guests SET
            balance_minor = balance_minor + touched.amount_minor,
            house_credit_minor = house_credit_minor + touched.credit_minor,
            held_minor = coalesce(
                (SELECT sum(hold_minor) FROM pours WHERE pours.guest_id = touched.guest_id AND sync_status = 'pending_sync'), 0)
        FROM (
            SELECT guest_id, sum(part.amount_minor) AS amount_minor, sum(part.credit_minor) AS credit_minor
            FROM jsonb_to_recordset(decided) AS change(ended jsonb, granted jsonb, money jsonb), LATERAL (
                SELECT guest_id, 0 AS amount_minor, 0 AS credit_minor FROM jsonb_to_recordset(change.ended) AS ended(guest_id uuid)
                UNION ALL
                SELECT (change.granted->>'guest_id')::uuid, 0, 0
                UNION ALL
                SELECT guest_id, CASE
                    WHEN credit_account = 'guest' THEN amount_minor WHEN debit_account = 'guest' THEN -amount_minor ELSE 0 END,
                    coalesce(house_credit_minor, 0)  -- of workers of the previous version
                FROM jsonb_to_recordset(change.money) AS moved(
                    debit_account text, credit_account text, amount_minor bigint, house_credit_minor bigint, guest_id uuid)
            ) AS part
            WHERE guest_id IS NOT NULL GROUP BY guest_id ORDER BY guest_id
        ) AS touched
        WHERE guests.guest_id = touched.guest_id;
    END IF;

    IF 'money' = ANY(present) THEN
        INSERT INTO money_movements (
            debit_account, credit_account, amount_minor, house_credit_minor, reverses_movement_id, guest_id, venue_id, shift_id,
            pour_id, incident_id, payment_id, payment_return_id, reason, actor, request_id)
        SELECT debit_account, credit_account, amount_minor, coalesce(house_credit_minor, 0), reverses_movement_id, guest_id,
            venue_id, shift_id, pour_id, incident_id, payment_id, payment_return_id, reason, actor, request_id
        FROM jsonb_to_recordset(decided) AS change(venue_id text, shift_id uuid, actor text, request_id text, money jsonb),
            jsonb_to_recordset(change.money) AS moved(
                debit_account text, credit_account text, amount_minor bigint, house_credit_minor bigint,
                reverses_movement_id bigint, guest_id uuid, pour_id uuid, incident_id uuid, payment_id uuid,
                payment_return_id uuid, reason text);
    END IF;

    IF 'stock' = ANY(present) THEN
        INSERT INTO stock_movements (keg_id, kind, volume_ml, venue_id, tap_path, shift_id, cause_id, reason, actor)
        SELECT keg_id, kind, volume_ml, venue_id, tap_path, shift_id, cause_id, reason, actor
        FROM jsonb_to_recordset(decided) AS change(venue_id text, tap_path text, shift_id uuid, actor text, stock jsonb),
            jsonb_to_recordset(change.stock) AS moved(keg_id uuid, kind text, volume_ml bigint, cause_id uuid, reason text);
        WITH moved_kegs AS (
            UPDATE kegs SET book_volume_ml = book_volume_ml - touched.volume_ml
            FROM (
                SELECT keg_id, sum(volume_ml) AS volume_ml
                FROM jsonb_to_recordset(decided) AS change(stock jsonb),
                    jsonb_to_recordset(change.stock) AS moved(keg_id uuid, volume_ml bigint)
                GROUP BY keg_id ORDER BY keg_id
            ) AS touched
            WHERE kegs.keg_id = touched.keg_id
            RETURNING finished_at)
        SELECT bool_or(finished_at IS NOT NULL) INTO moved_finished FROM moved_kegs;
    END IF;

    IF ended_finished OR moved_finished OR 'keg_finished' = ANY(present) THEN
        PERFORM book_finished_kegs(decided);
    END IF;

    -- a pour that ends with its report was updated above
    IF jsonb_path_exists(decided, '$[*] ? (exists(@.reported) && !(@.reported.pour_id == @.ended[*].pour_id))') THEN
        UPDATE pours SET
            reported = pours.reported OR said.stock_ml IS NOT NULL,
            report_refused = report_refused OR said.stock_ml IS NULL,
            stock_ml = coalesce(said.stock_ml, pours.stock_ml)
        FROM jsonb_to_recordset(decided) AS change(reported jsonb),
            jsonb_to_record(change.reported) AS said(pour_id uuid, stock_ml bigint)
        WHERE pours.pour_id = said.pour_id;
    END IF;

    IF 'stopped' = ANY(present) THEN
        UPDATE pours SET stop_reason = change.stopped->>'reason'
        FROM jsonb_to_recordset(decided) AS change(stopped jsonb)
        WHERE pours.pour_id = (change.stopped->>'pour_id')::uuid;
    END IF;

    IF 'tap_locked' = ANY(present) THEN
        UPDATE taps SET status = 'locked', status_reason = change.tap_locked
        FROM jsonb_to_recordset(decided) AS change(tap_path text, tap_locked text)
        WHERE taps.tap_path = change.tap_path AND change.tap_locked IS NOT NULL;
    END IF;

    IF 'answer' = ANY(present) THEN
        INSERT INTO authorization_answers (tap_path, event_id, fingerprint, pour_id, payload, journal_id, seq)
        SELECT tap_path, event_id, decode(fingerprint, 'hex'), pour_id, payload, journal_id, seq
        FROM jsonb_to_recordset(decided) AS change(tap_path text, answer jsonb),
            jsonb_to_record(change.answer) AS said(
                event_id uuid, fingerprint text, pour_id uuid, payload text, journal_id uuid, seq bigint)
        WHERE change.answer IS NOT NULL;
        INSERT INTO tap_journals AS journal (tap_path, journal_id, highest_seq, highest_boot_id)
        SELECT taps.tap_path, journal_id, seq, boot_id
        FROM jsonb_to_recordset(decided) AS change(tap_path text, answer jsonb)
        JOIN taps ON taps.tap_path = change.tap_path,
            jsonb_to_record(change.answer) AS said(journal_id uuid, seq bigint, boot_id uuid)
        WHERE journal_id IS NOT NULL
        ON CONFLICT (tap_path, journal_id) DO UPDATE SET
            highest_seq = greatest(journal.highest_seq, excluded.highest_seq),
            highest_boot_id = CASE
                WHEN excluded.highest_seq > journal.highest_seq THEN excluded.highest_boot_id ELSE journal.highest_boot_id END;
    END IF;

    IF 'verdict' = ANY(present) THEN
        INSERT INTO pour_reports (tap_path, pour_id, volume_ml, odometer_from_ml, odometer_to_ml, report, verdict)
        SELECT tap_path, pour_id, volume_ml, odometer_from_ml, odometer_to_ml, report, said.verdict
        FROM jsonb_to_recordset(decided) AS change(tap_path text, verdict jsonb),
            jsonb_to_record(change.verdict) AS said(
                pour_id uuid, volume_ml bigint, odometer_from_ml bigint, odometer_to_ml bigint, report jsonb, verdict text)
        WHERE change.verdict IS NOT NULL;
    END IF;

    IF 'flow' = ANY(present) THEN
        INSERT INTO flows (tap_path, event_id, cause, volume_ml, duration_ms, card_uid, keg_id, venue_id, stock_kind)
        SELECT tap_path, event_id, cause, volume_ml, duration_ms, card_uid, keg_id, venue_id, stock_kind
        FROM jsonb_to_recordset(decided) AS change(tap_path text, venue_id text, flow jsonb),
            jsonb_to_record(change.flow) AS said(
                event_id uuid, cause text, volume_ml bigint, duration_ms bigint, card_uid text, keg_id uuid, stock_kind text)
        WHERE change.flow IS NOT NULL;
    END IF;

    IF 'holes_reopened' = ANY(present) THEN
        DELETE FROM odometer_stretches
        WHERE stretch_id IN (
            SELECT hole::bigint
            FROM jsonb_to_recordset(decided) AS change(holes_reopened jsonb),
                jsonb_array_elements_text(change.holes_reopened) AS hole);
    END IF;

    IF 'stretches' = ANY(present) THEN
        INSERT INTO odometer_stretches (tap_path, journal_id, from_ml, to_ml, fact_id, is_hole, keg_id, boot_id)
        SELECT tap_path, journal_id, from_ml, to_ml, fact_id, is_hole, keg_id, boot_id
        FROM jsonb_to_recordset(decided) AS change(tap_path text, stretches jsonb),
            jsonb_to_recordset(change.stretches) AS accounted(
                journal_id uuid, from_ml bigint, to_ml bigint, fact_id uuid, is_hole boolean, keg_id uuid, boot_id uuid)
        ON CONFLICT DO NOTHING;
        -- nearly always the journal is known to begin before
        IF EXISTS (
            SELECT FROM jsonb_to_recordset(decided) AS change(tap_path text, stretches jsonb)
            CROSS JOIN jsonb_to_recordset(change.stretches) AS accounted(journal_id uuid, from_ml bigint)
            LEFT JOIN tap_journals known ON known.tap_path = change.tap_path AND known.journal_id = accounted.journal_id
            WHERE known.odometer_first_ml <= accounted.from_ml IS NOT TRUE
        ) THEN
            PERFORM begin_journals(decided);
        END IF;
    END IF;

    IF 'covered' = ANY(present) THEN
        INSERT INTO tap_journals AS journal (tap_path, journal_id, odometer_first_ml, odometer_covered_ml)
        SELECT tap_path, journal_id, first_ml, covered_ml
        FROM jsonb_to_recordset(decided) AS change(tap_path text, covered jsonb),
            jsonb_to_record(change.covered) AS proved(journal_id uuid, first_ml bigint, covered_ml bigint)
        WHERE change.covered IS NOT NULL
        ON CONFLICT (tap_path, journal_id) DO UPDATE SET
            odometer_first_ml = excluded.odometer_first_ml, odometer_covered_ml = excluded.odometer_covered_ml;
    END IF;

    IF 'set_back' = ANY(present) THEN
        INSERT INTO tap_journals AS journal (tap_path, journal_id, set_back_boots)
        SELECT tap_path, said.journal_id, jsonb_build_array(said.boot_id)
        FROM jsonb_to_recordset(decided) AS change(tap_path text, set_back jsonb),
            jsonb_to_record(change.set_back) AS said(journal_id uuid, boot_id uuid)
        WHERE change.set_back IS NOT NULL
        ON CONFLICT (tap_path, journal_id) DO UPDATE SET set_back_boots =
            (journal.set_back_boots - (excluded.set_back_boots->>0)) || excluded.set_back_boots;
    END IF;

    IF 'suspected' = ANY(present) THEN
        -- the revision that the tap's config gets below
        UPDATE tap_journals journal SET suspect_boot_id = said.boot_id, suspect_revision = taps.config_revision + 1
        FROM jsonb_to_recordset(decided) AS change(tap_path text, suspected jsonb),
            jsonb_to_record(change.suspected) AS said(journal_id uuid, boot_id uuid), taps
        WHERE journal.tap_path = change.tap_path AND journal.journal_id = said.journal_id AND taps.tap_path = change.tap_path;
    END IF;

    IF 'updated' = ANY(present) THEN
        UPDATE incidents SET
            details = incidents.details || one.details,
            occurrences = occurrences + one.seen_again::integer,
            last_seen_at = CASE WHEN one.seen_again THEN now() ELSE last_seen_at END
        FROM jsonb_to_recordset(decided) AS change(updated jsonb),
            jsonb_to_recordset(change.updated) AS one(incident_id uuid, details jsonb, seen_again boolean)
        WHERE incidents.incident_id = one.incident_id AND status <> 'resolved';
    END IF;

    IF 'resolved' = ANY(present) THEN
        UPDATE incidents SET
            status = 'resolved', resolution = one.resolution, comment = one.comment,
            resolved_at = now(), resolved_by = change.actor
        FROM jsonb_to_recordset(decided) AS change(actor text, resolved jsonb),
            jsonb_to_recordset(change.resolved) AS one(incident_id uuid, resolution text, comment text)
        WHERE incidents.incident_id = one.incident_id AND status <> 'resolved';
    END IF;

    IF 'audited' = ANY(present) THEN
        INSERT INTO audit (action, actor, subjects, details, request_id, venue_id)
        SELECT action, actor, subjects, details, request_id, change.venue_id
        FROM jsonb_to_recordset(decided) AS change(actor text, request_id text, venue_id text, audited jsonb),
            jsonb_to_recordset(change.audited) AS entry(action text, subjects text[], details jsonb);
    END IF;

    IF 'raised' = ANY(present) THEN
        PERFORM raise_incidents(decided);
    END IF;

    IF 'commands' = ANY(present) THEN
        -- a command without a payload is the tap's config, published with its next revision
        UPDATE taps SET config_revision = config_revision + 1
        WHERE tap_path IN (
            SELECT sent.tap_path
            FROM jsonb_to_recordset(decided) AS change(commands jsonb),
                jsonb_to_recordset(change.commands) AS sent(tap_path text, payload text)
            WHERE payload IS NULL);
        INSERT INTO command_outbox (tap_path, payload)
        SELECT sent.tap_path, payload
        FROM jsonb_to_recordset(decided) AS change(commands jsonb),
            jsonb_to_recordset(change.commands) AS sent(tap_path text, payload text);
        PERFORM pg_notify('tapwire_outbox', '');
    END IF;
END $$;
