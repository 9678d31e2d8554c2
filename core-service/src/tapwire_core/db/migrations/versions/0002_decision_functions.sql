-- Each decision is two round trips: a lock_… function that takes the row locks and reads the facts, and apply_changes.
--
-- Row locks are taken in one fixed order: tap, card, visit, guest, keg, pour; of two of one kind the smaller id first. Every
-- statement inside a function sees what was committed before it began, so what is read after the locks is what the locks protect.
-- The locks are FOR NO KEY UPDATE: foreign keys of other transactions' rows need not wait for them.

CREATE FUNCTION lock_question(asked_tap text, asked_card text, asked_journal uuid, asked_event uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    tap taps%ROWTYPE;
    pending pours%ROWTYPE;
    card cards%ROWTYPE;
    visit visits%ROWTYPE;
    guest guests%ROWTYPE;
    leased pours%ROWTYPE;
    venue venues%ROWTYPE;
    keg kegs%ROWTYPE;
    beverage beverages%ROWTYPE;
    earlier authorization_answers%ROWTYPE;
BEGIN
    SELECT * INTO tap FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE;
    SELECT * INTO earlier FROM authorization_answers WHERE tap_path = asked_tap AND event_id = asked_event;
    IF earlier.event_id IS NOT NULL THEN
        RETURN jsonb_build_object('earlier', jsonb_build_object(
            'fingerprint', encode(earlier.fingerprint, 'hex'),
            'payload', earlier.payload,
            'granted', earlier.pour_id IS NOT NULL,
            'pending', EXISTS (SELECT 1 FROM pours WHERE pour_id = earlier.pour_id AND sync_status = 'pending_sync')
        ));
    END IF;
    IF tap.tap_path IS NULL THEN
        RETURN '{"facts": {"tap": null, "card_status": null, "visit": null, "guest": null}}';
    END IF;

    SELECT * INTO pending FROM pours WHERE tap_path = asked_tap AND sync_status = 'pending_sync';
    SELECT * INTO card FROM cards WHERE card_uid = asked_card FOR NO KEY UPDATE;
    PERFORM 1 FROM visits
        WHERE visit_id = pending.visit_id OR (card_uid = asked_card AND status = 'active')
        ORDER BY visit_id FOR NO KEY UPDATE;
    SELECT * INTO visit FROM visits WHERE card_uid = asked_card AND status = 'active' AND venue_id = tap.venue_id;
    PERFORM 1 FROM guests
        WHERE guest_id = pending.guest_id OR guest_id = visit.guest_id
        ORDER BY guest_id FOR NO KEY UPDATE;
    SELECT * INTO guest FROM guests WHERE guest_id = visit.guest_id;
    SELECT * INTO keg FROM kegs WHERE keg_id = tap.keg_id FOR NO KEY UPDATE;
    PERFORM 1 FROM pours WHERE pour_id = pending.pour_id FOR NO KEY UPDATE;
    SELECT * INTO leased FROM pours WHERE visit_id = visit.visit_id AND sync_status = 'pending_sync';
    SELECT * INTO venue FROM venues WHERE venue_id = tap.venue_id;
    SELECT * INTO beverage FROM beverages WHERE beverage_id = keg.beverage_id;

    RETURN jsonb_build_object('facts', jsonb_build_object(
        'tap', jsonb_build_object(
            'venue_id', tap.venue_id,
            'status', tap.status,
            'emergency_stop', venue.emergency_stop,
            'max_pour_ml', tap.max_pour_ml,
            'highest_seq', coalesce(
                (SELECT highest_seq FROM tap_journals WHERE tap_path = asked_tap AND journal_id = asked_journal), 0),
            'keg_id', keg.keg_id,
            'keg_ml', keg.book_volume_ml,
            'beverage_id', beverage.beverage_id,
            'beverage_name', beverage.name,
            'beverage_style', beverage.style,
            'beverage_abv', beverage.abv,
            'price_minor', beverage.sell_price_per_liter_minor,
            'shift_id', (SELECT shift_id FROM shifts WHERE venue_id = tap.venue_id AND status = 'open'),
            'pending', CASE WHEN pending.pour_id IS NOT NULL THEN jsonb_build_object(
                'pour_id', pending.pour_id,
                'visit_id', pending.visit_id,
                'guest_id', pending.guest_id,
                'hold_minor', pending.hold_minor,
                'journal_id', pending.journal_id,
                'seq', pending.seq,
                'reported', pending.reported OR pending.report_refused OR EXISTS (
                    SELECT 1 FROM pour_reports WHERE pour_id = pending.pour_id AND tap_path = asked_tap)
            ) END
        ),
        'card_status', card.status,
        'visit', CASE WHEN visit.visit_id IS NOT NULL THEN jsonb_build_object(
            'visit_id', visit.visit_id,
            'leased_tap', leased.tap_path,
            'leased_pour_id', leased.pour_id
        ) END,
        'guest', CASE WHEN guest.guest_id IS NOT NULL THEN jsonb_build_object(
            'guest_id', guest.guest_id,
            'first_name', guest.first_name,
            'blocked', guest.blocked,
            'balance_minor', guest.balance_minor,
            'held_minor', guest.held_minor
        ) END
    ));
END $$
-- end of function

-- Keeps the open shift of the tap's venue from being closed until the booking is committed.
CREATE FUNCTION share_open_shift(asked_tap text) RETURNS void
LANGUAGE sql AS $$
    SELECT 1 FROM shifts
    WHERE status = 'open' AND venue_id = (SELECT venue_id FROM taps WHERE tap_path = asked_tap)
    FOR SHARE
$$
-- end of function

CREATE FUNCTION tap_now(asked_tap text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'venue_id', tap.venue_id,
        'shift_id', shift.shift_id,
        'keg_id', keg.keg_id,
        'keg_ml', keg.book_volume_ml,
        'price_minor', beverage.sell_price_per_liter_minor
    )
    FROM taps tap
    LEFT JOIN kegs keg USING (keg_id)
    LEFT JOIN beverages beverage USING (beverage_id)
    LEFT JOIN shifts shift ON shift.venue_id = tap.venue_id AND shift.status = 'open'
    WHERE tap.tap_path = asked_tap
$$
-- end of function

CREATE FUNCTION pour_facts(asked_pour uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'pour_id', pour.pour_id,
        'visit_id', pour.visit_id,
        'guest_id', pour.guest_id,
        'card_uid', pour.card_uid,
        'tap_path', pour.tap_path,
        'venue_id', pour.venue_id,
        'keg_id', pour.keg_id,
        'sync_status', pour.sync_status,
        'sell_price_per_liter_minor', pour.sell_price_per_liter_minor,
        'max_volume_ml', pour.max_volume_ml,
        'hold_minor', pour.hold_minor,
        'volume_ml', pour.volume_ml,
        'amount_minor', pour.amount_minor,
        'stock_ml', pour.stock_ml,
        'reported', pour.reported,
        'refused', pour.report_refused,
        'balance_minor', guest.balance_minor,
        'held_minor', guest.held_minor,
        'keg_ml', keg.book_volume_ml
    )
    FROM pours pour JOIN guests guest USING (guest_id) JOIN kegs keg USING (keg_id)
    WHERE pour.pour_id = asked_pour
$$
-- end of function

CREATE FUNCTION lock_report(
    asked_tap text, asked_pour uuid, asked_card text, said_ml bigint, said_from_ml bigint, said_to_ml bigint, said_journal uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    pour pours%ROWTYPE;
    earlier text;
BEGIN
    PERFORM 1 FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT verdict INTO earlier FROM pour_reports
        WHERE pour_id = asked_pour AND tap_path = asked_tap AND volume_ml = said_ml
        AND odometer_from_ml IS NOT DISTINCT FROM said_from_ml AND odometer_to_ml IS NOT DISTINCT FROM said_to_ml;
    IF earlier IS NOT NULL THEN
        RETURN jsonb_build_object('earlier_verdict', earlier);
    END IF;

    -- without a card: a report that can't be read counts for its pour whatever card it names
    SELECT * INTO pour FROM pours
        WHERE pour_id = asked_pour AND tap_path = asked_tap AND (asked_card IS NULL OR card_uid = asked_card);
    PERFORM 1 FROM visits WHERE visit_id = pour.visit_id FOR NO KEY UPDATE;
    PERFORM 1 FROM guests WHERE guest_id = pour.guest_id FOR NO KEY UPDATE;
    PERFORM 1 FROM kegs
        WHERE keg_id = pour.keg_id OR keg_id = (SELECT keg_id FROM taps WHERE tap_path = asked_tap)
        ORDER BY keg_id FOR NO KEY UPDATE;
    PERFORM 1 FROM pours WHERE pour_id = pour.pour_id FOR NO KEY UPDATE;
    -- a pending pour keeps its shift open by itself
    IF pour.sync_status IS DISTINCT FROM 'pending_sync' THEN
        PERFORM share_open_shift(asked_tap);
    END IF;

    RETURN jsonb_build_object(
        'facts', jsonb_build_object('tap', tap_now(asked_tap), 'pour', pour_facts(pour.pour_id)),
        'overlapping', (
            SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
            FROM odometer_stretches stretch
            WHERE tap_path = asked_tap AND journal_id = said_journal AND to_ml > said_from_ml AND from_ml < said_to_ml
        )
    );
END $$
-- end of function

CREATE FUNCTION lock_flow(asked_tap text, said_event uuid, said_journal uuid, said_from_ml bigint, said_to_ml bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM kegs WHERE keg_id = (SELECT keg_id FROM taps WHERE tap_path = asked_tap) FOR NO KEY UPDATE;
    PERFORM share_open_shift(asked_tap);
    RETURN jsonb_build_object(
        'recorded', EXISTS (SELECT 1 FROM flows WHERE tap_path = asked_tap AND event_id = said_event),
        'tap', tap_now(asked_tap),
        'overlapping', (
            SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
            FROM odometer_stretches stretch
            WHERE tap_path = asked_tap AND journal_id = said_journal AND to_ml > said_from_ml AND from_ml < said_to_ml
        )
    );
END $$
-- end of function

CREATE FUNCTION lock_odometer(asked_tap text, said_journal uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    journal tap_journals%ROWTYPE;
BEGIN
    PERFORM 1 FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE;
    IF NOT FOUND OR EXISTS (SELECT 1 FROM pours WHERE tap_path = asked_tap AND sync_status = 'pending_sync') THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM kegs WHERE keg_id = (SELECT keg_id FROM taps WHERE tap_path = asked_tap) FOR NO KEY UPDATE;
    PERFORM share_open_shift(asked_tap);
    SELECT * INTO journal FROM tap_journals WHERE tap_path = asked_tap AND journal_id = said_journal;
    RETURN jsonb_build_object(
        'tap', tap_now(asked_tap),
        'odometer', jsonb_build_object(
            'first_ml', journal.odometer_first_ml,
            'covered_ml', journal.odometer_covered_ml,
            'stretches', (
                SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
                FROM odometer_stretches stretch
                WHERE tap_path = asked_tap AND journal_id = said_journal AND to_ml > coalesce(journal.odometer_covered_ml, -1)
            )
        )
    );
END $$
-- end of function

CREATE FUNCTION lock_pour(asked_pour uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    pour pours%ROWTYPE;
BEGIN
    SELECT * INTO pour FROM pours WHERE pour_id = asked_pour;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM taps WHERE tap_path = pour.tap_path FOR NO KEY UPDATE;
    PERFORM 1 FROM visits WHERE visit_id = pour.visit_id FOR NO KEY UPDATE;
    PERFORM 1 FROM guests WHERE guest_id = pour.guest_id FOR NO KEY UPDATE;
    PERFORM 1 FROM kegs WHERE keg_id = pour.keg_id FOR NO KEY UPDATE;
    PERFORM 1 FROM pours WHERE pour_id = asked_pour FOR NO KEY UPDATE;
    RETURN jsonb_build_object(
        'pour', pour_facts(asked_pour),
        'shift_id', (SELECT shift_id FROM shifts WHERE venue_id = pour.venue_id AND status = 'open')
    );
END $$
-- end of function

-- Writes all that a decision changes (`tapwire_core.domain.changes`); the rows it touches are locked already. Cached sums follow
-- from the movements and holds written here, and from nothing else.
CREATE FUNCTION apply_changes(changes jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    at_tap constant text := changes->>'tap_path';
    at_venue constant text := changes->>'venue_id';
    in_shift constant uuid := (changes->>'shift_id')::uuid;
    by_actor constant text := changes->>'actor';
    request constant text := changes->>'request_id';
    part jsonb;
    touched record;
BEGIN
    -- one row at a time by its key: a join with what was read from JSON would be planned as a scan of the whole table
    FOR part IN SELECT jsonb_array_elements(changes->'ended') LOOP
        UPDATE pours SET
            sync_status = part->>'sync_status',
            volume_ml = (part->>'volume_ml')::bigint,
            amount_minor = (part->>'amount_minor')::bigint,
            loss_minor = (part->>'loss_minor')::bigint,
            stock_ml = (part->>'volume_ml')::bigint,
            end_reason = part->>'end_reason',
            duration_ms = (part->>'duration_ms')::bigint,
            settled_at = now(), settled_shift_id = in_shift, settled_by = by_actor
        WHERE pour_id = (part->>'pour_id')::uuid AND sync_status = 'pending_sync';
        UPDATE visits SET active_tap_id = NULL, lock_set_at = NULL WHERE visit_id = (part->>'visit_id')::uuid;
        UPDATE incidents SET status = 'resolved', resolution = 'no_action', resolved_at = now(), resolved_by = by_actor,
            comment = 'the pour ended'
        WHERE pour_id = (part->>'pour_id')::uuid AND kind IN ('sync_timeout', 'journal_lost') AND status <> 'resolved';
    END LOOP;

    IF changes ? 'lock_cleared' THEN
        UPDATE visits SET active_tap_id = NULL, lock_set_at = NULL
        WHERE visit_id = (changes->'lock_cleared'->>'visit_id')::uuid
        AND NOT EXISTS (
            SELECT 1 FROM pours WHERE pours.visit_id = visits.visit_id AND sync_status = 'pending_sync');
    END IF;

    IF changes ? 'granted' THEN
        part := changes->'granted';
        INSERT INTO pours (
            pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, shift_id, request_id, journal_id, seq,
            sell_price_per_liter_minor, max_volume_ml, hold_minor)
        SELECT pour_id, visit_id, guest_id, card_uid, at_venue, at_tap, keg_id, beverage_id, in_shift, request_id, journal_id, seq,
            sell_price_per_liter_minor, max_volume_ml, hold_minor
        FROM jsonb_to_record(part) AS granted(
            pour_id uuid, visit_id uuid, guest_id uuid, card_uid text, keg_id uuid, beverage_id uuid, request_id uuid,
            journal_id uuid, seq bigint, sell_price_per_liter_minor bigint, max_volume_ml bigint, hold_minor bigint);
        UPDATE visits SET active_tap_id = split_part(at_tap, '/', 3), lock_set_at = now()
        WHERE visit_id = (part->>'visit_id')::uuid;
    END IF;

    FOR touched IN
        SELECT guest_id, sum(amount_minor) AS amount_minor FROM (
            SELECT guest_id, 0 AS amount_minor FROM jsonb_to_recordset(changes->'ended') AS ended(guest_id uuid)
            UNION ALL
            SELECT (changes->'granted'->>'guest_id')::uuid, 0
            UNION ALL
            SELECT guest_id,
                CASE WHEN credit_account = 'guest' THEN amount_minor WHEN debit_account = 'guest' THEN -amount_minor ELSE 0 END
            FROM jsonb_to_recordset(changes->'money') AS moved(
                debit_account text, credit_account text, amount_minor bigint, guest_id uuid)
        ) AS parts WHERE guest_id IS NOT NULL GROUP BY guest_id ORDER BY guest_id
    LOOP
        UPDATE guests SET
            balance_minor = balance_minor + touched.amount_minor,
            held_minor = coalesce(
                (SELECT sum(hold_minor) FROM pours WHERE pours.guest_id = touched.guest_id AND sync_status = 'pending_sync'), 0)
        WHERE guest_id = touched.guest_id;
    END LOOP;

    IF changes ? 'money' THEN
        INSERT INTO money_movements (
            debit_account, credit_account, amount_minor, guest_id, venue_id, shift_id, pour_id, incident_id, reason, actor, request_id)
        SELECT debit_account, credit_account, amount_minor, guest_id, at_venue, in_shift, pour_id, incident_id, reason, by_actor,
            request
        FROM jsonb_to_recordset(changes->'money') AS moved(
            debit_account text, credit_account text, amount_minor bigint, guest_id uuid, pour_id uuid, incident_id uuid, reason text);
    END IF;

    IF changes ? 'stock' THEN
        INSERT INTO stock_movements (keg_id, kind, volume_ml, venue_id, tap_path, shift_id, cause_id, reason, actor)
        SELECT keg_id, kind, volume_ml, at_venue, at_tap, in_shift, cause_id, reason, by_actor
        FROM jsonb_to_recordset(changes->'stock') AS moved(keg_id uuid, kind text, volume_ml bigint, cause_id uuid, reason text);
        FOR touched IN
            SELECT keg_id, sum(volume_ml) AS volume_ml
            FROM jsonb_to_recordset(changes->'stock') AS moved(keg_id uuid, volume_ml bigint) GROUP BY keg_id ORDER BY keg_id
        LOOP
            UPDATE kegs SET book_volume_ml = book_volume_ml - touched.volume_ml WHERE keg_id = touched.keg_id;
        END LOOP;
    END IF;

    IF changes ? 'reported' THEN
        part := changes->'reported';
        UPDATE pours SET
            reported = reported OR part->>'stock_ml' IS NOT NULL,
            report_refused = report_refused OR part->>'stock_ml' IS NULL,
            stock_ml = coalesce((part->>'stock_ml')::bigint, stock_ml)
        WHERE pour_id = (part->>'pour_id')::uuid;
    END IF;

    IF changes ? 'stopped' THEN
        part := changes->'stopped';
        UPDATE pours SET stop_reason = part->>'reason' WHERE pour_id = (part->>'pour_id')::uuid;
    END IF;

    IF changes ? 'tap_locked' THEN
        UPDATE taps SET status = 'locked', status_reason = changes->>'tap_locked', config_revision = config_revision + 1
        WHERE tap_path = at_tap;
    END IF;

    IF changes ? 'answer' THEN
        part := changes->'answer';
        INSERT INTO authorization_answers (tap_path, event_id, fingerprint, pour_id, payload)
        VALUES (at_tap, (part->>'event_id')::uuid, decode(part->>'fingerprint', 'hex'), (part->>'pour_id')::uuid, part->>'payload');
        IF part->>'journal_id' IS NOT NULL AND EXISTS (SELECT 1 FROM taps WHERE tap_path = at_tap) THEN
            INSERT INTO tap_journals AS journal (tap_path, journal_id, highest_seq)
            VALUES (at_tap, (part->>'journal_id')::uuid, (part->>'seq')::bigint)
            ON CONFLICT (tap_path, journal_id)
            DO UPDATE SET highest_seq = greatest(journal.highest_seq, excluded.highest_seq);
        END IF;
    END IF;

    IF changes ? 'verdict' THEN
        INSERT INTO pour_reports (tap_path, pour_id, volume_ml, odometer_from_ml, odometer_to_ml, report, verdict)
        SELECT at_tap, pour_id, volume_ml, odometer_from_ml, odometer_to_ml, report, verdict
        FROM jsonb_to_record(changes->'verdict') AS said(
            pour_id uuid, volume_ml bigint, odometer_from_ml bigint, odometer_to_ml bigint, report jsonb, verdict text);
    END IF;

    IF changes ? 'flow' THEN
        INSERT INTO flows (tap_path, event_id, cause, volume_ml, duration_ms, card_uid, keg_id, venue_id, stock_kind)
        SELECT at_tap, event_id, cause, volume_ml, duration_ms, card_uid, keg_id, at_venue, stock_kind
        FROM jsonb_to_record(changes->'flow') AS said(
            event_id uuid, cause text, volume_ml bigint, duration_ms bigint, card_uid text, keg_id uuid, stock_kind text);
    END IF;

    IF changes ? 'holes_reopened' THEN
        DELETE FROM odometer_stretches
        WHERE stretch_id IN (SELECT hole::bigint FROM jsonb_array_elements_text(changes->'holes_reopened') AS hole);
    END IF;

    IF changes ? 'stretches' THEN
        INSERT INTO odometer_stretches (tap_path, journal_id, from_ml, to_ml, fact_id, is_hole, keg_id)
        SELECT at_tap, journal_id, from_ml, to_ml, fact_id, is_hole, keg_id
        FROM jsonb_to_recordset(changes->'stretches') AS accounted(
            journal_id uuid, from_ml bigint, to_ml bigint, fact_id uuid, is_hole boolean, keg_id uuid)
        ON CONFLICT DO NOTHING;
        INSERT INTO tap_journals AS journal (tap_path, journal_id, odometer_first_ml)
        SELECT at_tap, journal_id, min(from_ml)
        FROM jsonb_to_recordset(changes->'stretches') AS accounted(journal_id uuid, from_ml bigint) GROUP BY journal_id
        ON CONFLICT (tap_path, journal_id) DO UPDATE SET
            odometer_first_ml = least(journal.odometer_first_ml, excluded.odometer_first_ml),
            odometer_covered_ml = CASE
                WHEN excluded.odometer_first_ml >= journal.odometer_first_ml THEN journal.odometer_covered_ml END
        WHERE journal.odometer_first_ml IS NULL OR excluded.odometer_first_ml < journal.odometer_first_ml;
    END IF;

    IF changes ? 'covered' THEN
        part := changes->'covered';
        INSERT INTO tap_journals AS journal (tap_path, journal_id, odometer_first_ml, odometer_covered_ml)
        VALUES (at_tap, (part->>'journal_id')::uuid, (part->>'first_ml')::bigint, (part->>'covered_ml')::bigint)
        ON CONFLICT (tap_path, journal_id) DO UPDATE SET
            odometer_first_ml = excluded.odometer_first_ml, odometer_covered_ml = excluded.odometer_covered_ml;
    END IF;

    IF changes ? 'audited' THEN
        INSERT INTO audit (action, actor, subjects, details, request_id)
        SELECT action, by_actor, subjects, details, request
        FROM jsonb_to_recordset(changes->'audited') AS audited(action text, subjects text[], details jsonb);
    END IF;

    IF changes ? 'raised' THEN
        INSERT INTO incidents AS incident (incident_id, kind, cause, venue_id, tap_path, pour_id, details)
        SELECT gen_random_uuid(), kind, cause, at_venue, at_tap, pour_id, details
        FROM jsonb_to_recordset(changes->'raised') AS raised(kind text, cause text, pour_id uuid, details jsonb)
        ON CONFLICT (kind, cause) WHERE status <> 'resolved' DO UPDATE SET
            occurrences = incident.occurrences + 1,
            last_seen_at = now(),
            details = CASE WHEN incident.kind = 'unattributed_flow' THEN excluded.details || jsonb_build_object('volume_ml',
                (incident.details->>'volume_ml')::bigint + (excluded.details->>'volume_ml')::bigint) ELSE incident.details END;
    END IF;

    IF changes ? 'commands' THEN
        INSERT INTO command_outbox (tap_path, payload)
        SELECT tap_path, payload FROM jsonb_to_recordset(changes->'commands') AS sent(tap_path text, payload text);
        PERFORM pg_notify('tapwire_outbox', '');
    END IF;
END $$
-- end of function

-- Each new incident is also an entry of the audit log, whoever raises it; one that recurs is only counted.
CREATE FUNCTION audit_new_incident() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (action, actor, subjects, details)
    VALUES (
        'incident_raised', 'core',
        array_remove(ARRAY[NEW.incident_id::text, NEW.pour_id::text, NEW.tap_path, NEW.venue_id], NULL),
        NEW.details || jsonb_build_object('kind', NEW.kind));
    RETURN NULL;
END $$
-- end of function

CREATE TRIGGER new_incident_is_audited AFTER INSERT ON incidents FOR EACH ROW EXECUTE FUNCTION audit_new_incident()
-- end of function
