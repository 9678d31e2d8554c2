-- Decisions that are made together, as sets: each statement serves all of them, so that what a statement costs by itself (its plan
-- looked up, its constraints read, its triggers queued) is paid once a transaction and not once a decision. One alone goes the same way.
--
-- Every function here settles how its statements are planned. A set that was read from JSON is small, which the planner can't know: it
-- would scan whole tables to join with it, and compile what runs for microseconds. So rows are found by their indexes one by one, by
-- plans that are made once on a connection and depend on no statistics.

-- A tap, with what a fact that moves no pour is booked on.
CREATE VIEW tap_now AS
SELECT tap.tap_path, jsonb_build_object(
    'venue_id', tap.venue_id,
    'shift_id', shift.shift_id,
    'keg_id', keg.keg_id,
    'keg_ml', keg.book_volume_ml,
    'price_minor', beverage.sell_price_per_liter_minor
) AS facts
FROM taps tap
LEFT JOIN kegs keg USING (keg_id)
LEFT JOIN beverages beverage USING (beverage_id)
LEFT JOIN shifts shift ON shift.venue_id = tap.venue_id AND shift.status = 'open'
-- end of function

CREATE VIEW pour_facts AS
SELECT pour.pour_id, jsonb_build_object(
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
) AS facts
FROM pours pour JOIN guests guest USING (guest_id) JOIN kegs keg USING (keg_id)
-- end of function

-- The stretches of a journal's odometer that overlap a given one.
CREATE FUNCTION overlapping_stretches(at_tap text, of_journal uuid, said_from_ml bigint, said_to_ml bigint)
RETURNS SETOF odometer_stretches
LANGUAGE sql STABLE AS $$
    SELECT * FROM odometer_stretches
    WHERE tap_path = at_tap AND journal_id = of_journal AND to_ml > said_from_ml AND from_ml < said_to_ml
$$
-- end of function

-- What questions are decided on, each by its place among all that was asked; read under the locks of `lock_together`.
CREATE FUNCTION question_facts(asked jsonb) RETURNS TABLE (place bigint, facts jsonb)
LANGUAGE sql STABLE AS $$
    SELECT one.place, CASE
        WHEN earlier.event_id IS NOT NULL THEN jsonb_build_object('earlier', jsonb_build_object(
            'fingerprint', encode(earlier.fingerprint, 'hex'),
            'payload', earlier.payload,
            'granted', earlier.pour_id IS NOT NULL,
            'pending', EXISTS (
                SELECT FROM pours WHERE pours.pour_id = earlier.pour_id AND pours.sync_status = 'pending_sync')))
        WHEN tap.tap_path IS NULL THEN '{"facts": {"tap": null, "card_status": null, "visit": null, "guest": null}}'
        ELSE jsonb_build_object('facts', jsonb_build_object(
            'tap', jsonb_build_object(
                'venue_id', tap.venue_id,
                'status', tap.status,
                'emergency_stop', venue.emergency_stop,
                'max_pour_ml', tap.max_pour_ml,
                'highest_seq', coalesce(journal.highest_seq, 0),
                'keg_id', keg.keg_id,
                'keg_ml', keg.book_volume_ml,
                'beverage_id', beverage.beverage_id,
                'beverage_name', beverage.name,
                'beverage_style', beverage.style,
                'beverage_abv', beverage.abv,
                'price_minor', beverage.sell_price_per_liter_minor,
                'shift_id', shift.shift_id,
                'pending', CASE WHEN pending.pour_id IS NOT NULL THEN jsonb_build_object(
                    'pour_id', pending.pour_id,
                    'visit_id', pending.visit_id,
                    'guest_id', pending.guest_id,
                    'hold_minor', pending.hold_minor,
                    'journal_id', pending.journal_id,
                    'seq', pending.seq,
                    'reported', pending.reported OR pending.report_refused OR EXISTS (
                        SELECT FROM pour_reports said
                        WHERE said.pour_id = pending.pour_id AND said.tap_path = one.tap_path)
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
            ) END))
        END AS facts
    FROM ROWS FROM (jsonb_to_recordset(asked) AS (
        kind text, tap_path text, card_uid text, journal_id uuid, event_id uuid)) WITH ORDINALITY
        AS one(kind, tap_path, card_uid, journal_id, event_id, place)
    LEFT JOIN taps tap ON tap.tap_path = one.tap_path
    LEFT JOIN authorization_answers earlier ON earlier.tap_path = one.tap_path AND earlier.event_id = one.event_id
    LEFT JOIN venues venue ON venue.venue_id = tap.venue_id
    LEFT JOIN tap_journals journal ON journal.tap_path = one.tap_path AND journal.journal_id = one.journal_id
    LEFT JOIN kegs keg ON keg.keg_id = tap.keg_id
    LEFT JOIN beverages beverage ON beverage.beverage_id = keg.beverage_id
    LEFT JOIN shifts shift ON shift.venue_id = tap.venue_id AND shift.status = 'open'
    LEFT JOIN pours pending ON pending.tap_path = one.tap_path AND pending.sync_status = 'pending_sync'
    LEFT JOIN cards card ON card.card_uid = one.card_uid
    LEFT JOIN visits visit ON visit.card_uid = one.card_uid AND visit.status = 'active' AND visit.venue_id = tap.venue_id
    LEFT JOIN guests guest ON guest.guest_id = visit.guest_id
    LEFT JOIN pours leased ON leased.visit_id = visit.visit_id AND leased.sync_status = 'pending_sync'
    WHERE one.kind = 'question'
$$
-- end of function

-- What reports are settled on, each by its place among all that was asked; read under the locks of `lock_together`.
CREATE FUNCTION report_facts(asked jsonb) RETURNS TABLE (place bigint, facts jsonb)
LANGUAGE sql STABLE AS $$
    SELECT one.place, CASE
        WHEN tap.tap_path IS NULL THEN NULL
        WHEN earlier.report_id IS NOT NULL THEN jsonb_build_object('earlier_verdict', earlier.verdict)
        ELSE jsonb_build_object(
            'facts', jsonb_build_object('tap', tap.facts, 'pour', of_pour.facts),
            'overlapping', (
                SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
                FROM overlapping_stretches(one.tap_path, one.journal_id, one.from_ml, one.to_ml) AS stretch))
        END AS facts
    FROM ROWS FROM (jsonb_to_recordset(asked) AS (
        kind text, tap_path text, pour_id uuid, card_uid text, volume_ml bigint, from_ml bigint, to_ml bigint,
        journal_id uuid)) WITH ORDINALITY
        AS one(kind, tap_path, pour_id, card_uid, volume_ml, from_ml, to_ml, journal_id, place)
    LEFT JOIN tap_now tap ON tap.tap_path = one.tap_path
    LEFT JOIN pour_reports earlier ON earlier.pour_id = one.pour_id AND earlier.tap_path = one.tap_path
        AND earlier.volume_ml = one.volume_ml
        AND earlier.odometer_from_ml IS NOT DISTINCT FROM one.from_ml
        AND earlier.odometer_to_ml IS NOT DISTINCT FROM one.to_ml
    -- without a card: a report that can't be read counts for its pour whatever card it names
    LEFT JOIN pours its ON its.pour_id = one.pour_id AND its.tap_path = one.tap_path
        AND (one.card_uid IS NULL OR its.card_uid = one.card_uid)
    LEFT JOIN pour_facts of_pour ON of_pour.pour_id = its.pour_id
    WHERE one.kind = 'report'
$$
-- end of function

-- Locks all that these questions and reports touch, class by class in the fixed order (tap, card, visit, guest, keg, pour; the smaller
-- id first), then reads the facts of each, in the order in which they were asked. Several don't wait for a row longer than `wait_ms`.
CREATE OR REPLACE FUNCTION lock_together(asked jsonb, wait_ms integer) RETURNS SETOF jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    several constant boolean := jsonb_array_length(asked) > 1;
    tap_paths text[];
    card_uids text[];
    asked_pours uuid[];
    pour_ids uuid[];
    visit_ids uuid[];
    guest_ids uuid[];
    keg_ids uuid[];
BEGIN
    IF several THEN
        PERFORM set_config('lock_timeout', wait_ms::text, true);
    END IF;

    SELECT array_agg(tap_path), array_remove(array_agg(CASE kind WHEN 'question' THEN card_uid END), NULL),
        array_remove(array_agg(pour_id), NULL)
    INTO tap_paths, card_uids, asked_pours
    FROM jsonb_to_recordset(asked) AS one(kind text, tap_path text, card_uid text, pour_id uuid);

    PERFORM FROM taps WHERE tap_path = ANY(tap_paths) ORDER BY tap_path FOR NO KEY UPDATE;
    IF card_uids <> '{}' THEN
        PERFORM FROM cards WHERE card_uid = ANY(card_uids) ORDER BY card_uid FOR NO KEY UPDATE;
        visit_ids := ARRAY(SELECT visit_id FROM visits WHERE card_uid = ANY(card_uids) AND status = 'active');
    END IF;
    -- a tap's lock keeps its pending pour as it is
    SELECT array_agg(pour_id), array_agg(visit_id) || visit_ids, array_agg(guest_id), array_agg(keg_id)
    INTO pour_ids, visit_ids, guest_ids, keg_ids
    FROM (
        SELECT pour_id, visit_id, guest_id, keg_id FROM pours WHERE tap_path = ANY(tap_paths) AND sync_status = 'pending_sync'
        UNION
        SELECT pour_id, visit_id, guest_id, keg_id FROM pours WHERE pour_id = ANY(asked_pours)
    ) AS concerned;
    guest_ids := guest_ids || ARRAY(
        SELECT guest_id FROM visits WHERE visit_id = ANY(visit_ids) ORDER BY visit_id FOR NO KEY UPDATE);
    PERFORM FROM guests WHERE guest_id = ANY(guest_ids) ORDER BY guest_id FOR NO KEY UPDATE;
    keg_ids := keg_ids || ARRAY(SELECT keg_id FROM taps WHERE tap_path = ANY(tap_paths));
    PERFORM FROM kegs WHERE keg_id = ANY(keg_ids) ORDER BY keg_id FOR NO KEY UPDATE;
    IF pour_ids <> '{}' THEN
        PERFORM FROM pours WHERE pour_id = ANY(pour_ids) ORDER BY pour_id FOR NO KEY UPDATE;
    END IF;

    -- a pending pour keeps its shift open by itself; whatever else is booked keeps it from being closed until the commit
    IF asked_pours <> '{}' AND EXISTS (
        SELECT FROM jsonb_to_recordset(asked) AS one(kind text, tap_path text, pour_id uuid, card_uid text)
        WHERE kind = 'report' AND NOT EXISTS (
            SELECT FROM pours its
            WHERE its.pour_id = one.pour_id AND its.tap_path = one.tap_path
            AND (one.card_uid IS NULL OR its.card_uid = one.card_uid) AND its.sync_status = 'pending_sync')
    ) THEN
        PERFORM FROM shifts
            WHERE status = 'open' AND venue_id IN (SELECT venue_id FROM taps WHERE tap_path = ANY(tap_paths))
            ORDER BY shift_id FOR SHARE;
    END IF;

    IF several THEN
        PERFORM set_config('lock_timeout', '0', true);
    END IF;
    IF asked_pours = '{}' THEN
        RETURN QUERY SELECT facts FROM question_facts(asked) ORDER BY place;
    ELSIF card_uids = '{}' THEN
        RETURN QUERY SELECT facts FROM report_facts(asked) ORDER BY place;
    ELSE
        RETURN QUERY SELECT facts FROM (
            SELECT * FROM question_facts(asked) UNION ALL SELECT * FROM report_facts(asked)
        ) AS both_kinds ORDER BY place;
    END IF;
END $$
-- end of function

CREATE OR REPLACE FUNCTION lock_flow(asked_tap text, said_event uuid, said_journal uuid, said_from_ml bigint, said_to_ml bigint)
RETURNS jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    PERFORM FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM kegs WHERE keg_id = (SELECT keg_id FROM taps WHERE tap_path = asked_tap) FOR NO KEY UPDATE;
    PERFORM share_open_shift(asked_tap);
    RETURN jsonb_build_object(
        'recorded', EXISTS (SELECT FROM flows WHERE tap_path = asked_tap AND event_id = said_event),
        'tap', (SELECT facts FROM tap_now WHERE tap_path = asked_tap),
        'overlapping', (
            SELECT coalesce(jsonb_agg(to_jsonb(stretch)), '[]')
            FROM overlapping_stretches(asked_tap, said_journal, said_from_ml, said_to_ml) AS stretch)
    );
END $$
-- end of function

CREATE OR REPLACE FUNCTION lock_odometer(asked_tap text, said_journal uuid) RETURNS jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    journal tap_journals%ROWTYPE;
BEGIN
    PERFORM FROM taps WHERE tap_path = asked_tap FOR NO KEY UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM pours WHERE tap_path = asked_tap AND sync_status = 'pending_sync') THEN
        RETURN NULL;
    END IF;
    PERFORM FROM kegs WHERE keg_id = (SELECT keg_id FROM taps WHERE tap_path = asked_tap) FOR NO KEY UPDATE;
    PERFORM share_open_shift(asked_tap);
    SELECT * INTO journal FROM tap_journals WHERE tap_path = asked_tap AND journal_id = said_journal;
    RETURN jsonb_build_object(
        'tap', (SELECT facts FROM tap_now WHERE tap_path = asked_tap),
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

CREATE OR REPLACE FUNCTION lock_pour(asked_pour uuid) RETURNS jsonb
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    pour pours%ROWTYPE;
BEGIN
    SELECT * INTO pour FROM pours WHERE pour_id = asked_pour;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM taps WHERE tap_path = pour.tap_path FOR NO KEY UPDATE;
    PERFORM FROM visits WHERE visit_id = pour.visit_id FOR NO KEY UPDATE;
    PERFORM FROM guests WHERE guest_id = pour.guest_id FOR NO KEY UPDATE;
    PERFORM FROM kegs WHERE keg_id = pour.keg_id FOR NO KEY UPDATE;
    PERFORM FROM pours WHERE pour_id = asked_pour FOR NO KEY UPDATE;
    RETURN jsonb_build_object(
        'pour', (SELECT facts FROM pour_facts WHERE pour_id = asked_pour),
        'shift_id', (SELECT shift_id FROM shifts WHERE venue_id = pour.venue_id AND status = 'open')
    );
END $$
-- end of function

-- Writes all that decisions change (`tapwire_core.domain.changes`); the rows they touch are locked already, and no two decisions touch
-- a common one. Cached sums follow from the movements and holds written here, and from nothing else.
CREATE OR REPLACE FUNCTION apply_together(decided jsonb) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    present text[];
BEGIN
    present := ARRAY(SELECT jsonb_object_keys(change) FROM jsonb_array_elements(decided) AS change);

    IF 'ended' = ANY(present) THEN
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
        WHERE pours.pour_id = ended.pour_id AND pours.sync_status = 'pending_sync';
        UPDATE visits SET active_tap_id = NULL, lock_set_at = NULL
        FROM jsonb_to_recordset(decided) AS change(ended jsonb), jsonb_to_recordset(change.ended) AS ended(visit_id uuid)
        WHERE visits.visit_id = ended.visit_id;
        UPDATE incidents SET status = 'resolved', resolution = 'no_action', resolved_at = now(), resolved_by = change.actor,
            comment = 'the pour ended'
        FROM jsonb_to_recordset(decided) AS change(actor text, ended jsonb),
            jsonb_to_recordset(change.ended) AS ended(pour_id uuid)
        WHERE incidents.pour_id = ended.pour_id AND kind IN ('sync_timeout', 'journal_lost') AND status <> 'resolved';
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
            sell_price_per_liter_minor, max_volume_ml, hold_minor)
        SELECT pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, shift_id, granted.request_id,
            journal_id, seq, sell_price_per_liter_minor, max_volume_ml, hold_minor
        FROM jsonb_to_recordset(decided) AS change(tap_path text, venue_id text, shift_id uuid, granted jsonb),
            jsonb_to_record(change.granted) AS granted(
                pour_id uuid, visit_id uuid, guest_id uuid, card_uid text, keg_id uuid, beverage_id uuid, request_id uuid,
                journal_id uuid, seq bigint, sell_price_per_liter_minor bigint, max_volume_ml bigint, hold_minor bigint)
        WHERE change.granted IS NOT NULL;
        UPDATE visits SET active_tap_id = split_part(change.tap_path, '/', 3), lock_set_at = now()
        FROM jsonb_to_recordset(decided) AS change(tap_path text, granted jsonb)
        WHERE visits.visit_id = (change.granted->>'visit_id')::uuid;
    END IF;

    IF present && '{ended,granted,money}' THEN
        UPDATE guests SET
            balance_minor = balance_minor + touched.amount_minor,
            held_minor = coalesce(
                (SELECT sum(hold_minor) FROM pours WHERE pours.guest_id = touched.guest_id AND sync_status = 'pending_sync'), 0)
        FROM (
            SELECT guest_id, sum(part.amount_minor) AS amount_minor
            FROM jsonb_to_recordset(decided) AS change(ended jsonb, granted jsonb, money jsonb), LATERAL (
                SELECT guest_id, 0 AS amount_minor FROM jsonb_to_recordset(change.ended) AS ended(guest_id uuid)
                UNION ALL
                SELECT (change.granted->>'guest_id')::uuid, 0
                UNION ALL
                SELECT guest_id, CASE
                    WHEN credit_account = 'guest' THEN amount_minor WHEN debit_account = 'guest' THEN -amount_minor ELSE 0 END
                FROM jsonb_to_recordset(change.money) AS moved(
                    debit_account text, credit_account text, amount_minor bigint, guest_id uuid)
            ) AS part
            WHERE guest_id IS NOT NULL GROUP BY guest_id ORDER BY guest_id
        ) AS touched
        WHERE guests.guest_id = touched.guest_id;
    END IF;

    IF 'money' = ANY(present) THEN
        INSERT INTO money_movements (
            debit_account, credit_account, amount_minor, guest_id, venue_id, shift_id, pour_id, incident_id, reason, actor, request_id)
        SELECT debit_account, credit_account, amount_minor, guest_id, venue_id, shift_id, pour_id, incident_id, reason, actor,
            request_id
        FROM jsonb_to_recordset(decided) AS change(venue_id text, shift_id uuid, actor text, request_id text, money jsonb),
            jsonb_to_recordset(change.money) AS moved(
                debit_account text, credit_account text, amount_minor bigint, guest_id uuid, pour_id uuid, incident_id uuid,
                reason text);
    END IF;

    IF 'stock' = ANY(present) THEN
        INSERT INTO stock_movements (keg_id, kind, volume_ml, venue_id, tap_path, shift_id, cause_id, reason, actor)
        SELECT keg_id, kind, volume_ml, venue_id, tap_path, shift_id, cause_id, reason, actor
        FROM jsonb_to_recordset(decided) AS change(venue_id text, tap_path text, shift_id uuid, actor text, stock jsonb),
            jsonb_to_recordset(change.stock) AS moved(keg_id uuid, kind text, volume_ml bigint, cause_id uuid, reason text);
        UPDATE kegs SET book_volume_ml = book_volume_ml - touched.volume_ml
        FROM (
            SELECT keg_id, sum(volume_ml) AS volume_ml
            FROM jsonb_to_recordset(decided) AS change(stock jsonb),
                jsonb_to_recordset(change.stock) AS moved(keg_id uuid, volume_ml bigint)
            GROUP BY keg_id ORDER BY keg_id
        ) AS touched
        WHERE kegs.keg_id = touched.keg_id;
    END IF;

    -- a pour that ends with its report has been told so above
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
        UPDATE taps SET status = 'locked', status_reason = change.tap_locked, config_revision = config_revision + 1
        FROM jsonb_to_recordset(decided) AS change(tap_path text, tap_locked text)
        WHERE taps.tap_path = change.tap_path AND change.tap_locked IS NOT NULL;
    END IF;

    IF 'answer' = ANY(present) THEN
        INSERT INTO authorization_answers (tap_path, event_id, fingerprint, pour_id, payload)
        SELECT tap_path, event_id, decode(fingerprint, 'hex'), pour_id, payload
        FROM jsonb_to_recordset(decided) AS change(tap_path text, answer jsonb),
            jsonb_to_record(change.answer) AS said(event_id uuid, fingerprint text, pour_id uuid, payload text)
        WHERE change.answer IS NOT NULL;
        INSERT INTO tap_journals AS journal (tap_path, journal_id, highest_seq)
        SELECT taps.tap_path, journal_id, seq
        FROM jsonb_to_recordset(decided) AS change(tap_path text, answer jsonb)
        JOIN taps ON taps.tap_path = change.tap_path,
            jsonb_to_record(change.answer) AS said(journal_id uuid, seq bigint)
        WHERE journal_id IS NOT NULL
        ON CONFLICT (tap_path, journal_id) DO UPDATE SET highest_seq = greatest(journal.highest_seq, excluded.highest_seq);
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
        INSERT INTO odometer_stretches (tap_path, journal_id, from_ml, to_ml, fact_id, is_hole, keg_id)
        SELECT tap_path, journal_id, from_ml, to_ml, fact_id, is_hole, keg_id
        FROM jsonb_to_recordset(decided) AS change(tap_path text, stretches jsonb),
            jsonb_to_recordset(change.stretches) AS accounted(
                journal_id uuid, from_ml bigint, to_ml bigint, fact_id uuid, is_hole boolean, keg_id uuid)
        ON CONFLICT DO NOTHING;
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

    IF 'audited' = ANY(present) THEN
        INSERT INTO audit (action, actor, subjects, details, request_id)
        SELECT action, actor, subjects, details, request_id
        FROM jsonb_to_recordset(decided) AS change(actor text, request_id text, audited jsonb),
            jsonb_to_recordset(change.audited) AS entry(action text, subjects text[], details jsonb);
    END IF;

    IF 'raised' = ANY(present) THEN
        INSERT INTO incidents AS incident (incident_id, kind, cause, venue_id, tap_path, pour_id, details)
        SELECT gen_random_uuid(), kind, cause, venue_id, tap_path, pour_id, details
        FROM jsonb_to_recordset(decided) AS change(venue_id text, tap_path text, raised jsonb),
            jsonb_to_recordset(change.raised) AS one(kind text, cause text, pour_id uuid, details jsonb)
        ON CONFLICT (kind, cause) WHERE status <> 'resolved' DO UPDATE SET
            occurrences = incident.occurrences + 1,
            last_seen_at = now(),
            details = CASE WHEN incident.kind = 'unattributed_flow' THEN excluded.details || jsonb_build_object('volume_ml',
                (incident.details->>'volume_ml')::bigint + (excluded.details->>'volume_ml')::bigint) ELSE incident.details END;
    END IF;

    IF 'commands' = ANY(present) THEN
        INSERT INTO command_outbox (tap_path, payload)
        SELECT sent.tap_path, payload
        FROM jsonb_to_recordset(decided) AS change(commands jsonb),
            jsonb_to_recordset(change.commands) AS sent(tap_path text, payload text);
        PERFORM pg_notify('tapwire_outbox', '');
    END IF;
END $$
-- end of function
