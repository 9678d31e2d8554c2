"""The statements of `history`: what one night of all venues writes, set by set.

`places` has a row for each tap: what is sold there, and how far its odometer and its keg are. `accounts` has a row for each guest.
`poured` has the pours of one night in the order of their time, of which the other tables follow. At a venue each guest of a visit
goes on to the next tap with each pour.
"""

from typing import Final

PLACES: Final = """
    CREATE TEMP TABLE places AS
    SELECT row_number() OVER (ORDER BY taps.venue_id, taps.tap_path)::int - 1 AS place,
        dense_rank() OVER (ORDER BY taps.venue_id)::int - 1 AS venue_no,
        row_number() OVER (PARTITION BY taps.venue_id ORDER BY taps.tap_path)::int - 1 AS tap_no,
        taps.tap_path, taps.venue_id, beverage_id, sell_price_per_liter_minor AS price, abv_hundredths, tax_rate_bp,
        md5('journal' || taps.tap_path)::uuid AS journal_id, md5('boot' || taps.tap_path)::uuid AS boot_id,
        0::bigint AS odometer_ml, 0::bigint AS keg_ml
    FROM taps
    JOIN unnest($1::text[], $2::uuid[]) AS sold(tap_path, beverage_id) USING (tap_path) JOIN beverages USING (beverage_id)"""

GUESTS: Final = (
    """CREATE TEMP TABLE accounts AS
       SELECT guest_no, md5('guest' || guest_no)::uuid AS guest_id, '04' || lpad(to_hex(guest_no), 12, '0') AS card_uid,
           0::bigint AS balance_minor, 0::bigint AS latest
       FROM generate_series(0, $1::int - 1) AS guest_no""",
    "ALTER TABLE accounts ADD PRIMARY KEY (guest_no)",
    """INSERT INTO guests (guest_id, first_name, age_checked_by, age_checked_at, created_at)
       SELECT guest_id, 'Guest ' || guest_no, 'test-operator', $1, $1 FROM accounts""",
    """INSERT INTO search_entries (noun, id, words)
       SELECT 'guest', guest_id::text, array_to_tsvector(ARRAY['guest', guest_no::text]) FROM accounts""",
    "INSERT INTO cards (card_uid, status, guest_id, created_at) SELECT card_uid, 'bound', guest_id, $1 FROM accounts",
    """INSERT INTO audit (action, actor, subjects, details, created_at)
       SELECT action, 'test-operator', subjects, details, $1
       FROM accounts, LATERAL (VALUES
           ('guest_created', ARRAY[guest_id::text], '{"age_checked": true}'::jsonb),
           ('card_bound', ARRAY[card_uid, guest_id::text], '{}')) AS entry(action, subjects, details)""",
)

SHIFTS: Final = """
    WITH opened AS (
        INSERT INTO shifts (shift_id, venue_id, status, opened_at, opened_by, closed_at, closed_by)
        SELECT DISTINCT md5('shift' || venue_id || $1::int)::uuid, venue_id, 'closed', $2::timestamptz - interval '1 hour',
            'test-operator', $2 + interval '11 hours', 'test-operator'
        FROM places RETURNING shift_id, venue_id, opened_at)
    INSERT INTO audit (action, actor, subjects, details, created_at, venue_id)
    SELECT 'shift_opened', 'test-operator', ARRAY[shift_id::text, venue_id], '{}', opened_at, venue_id FROM opened"""

POURED: Final = """
    CREATE TEMP TABLE poured AS
    WITH numbered AS (
        SELECT places.*, round, place + round::bigint * $7 + $1::bigint * $7 * $3 AS n,
            ((tap_no - round) % $6 + $6) % $6 AS slot, $1::bigint * $3 + round AS tap_pour,
            $2::timestamptz + make_interval(secs => (round + place / $7::float) * 36000 / $3) AS authorized_at
        FROM places, generate_series(0, $3::int - 1) AS round
    ), visited AS (
        SELECT *, ($1::bigint * ($3 / $4) + round / $4) * $6 + slot AS visit_no FROM numbered
    ), priced AS (
        SELECT *, visit_no % ($5::int * $6) + venue_no * $5 * $6 AS guest_no, tap_pour / $8::int AS keg_no,
            150 + abs(hashint8(n)::bigint) % 351 AS volume_ml
        FROM visited
    ), charged AS (
        SELECT *, (volume_ml * price + 500) / 1000 AS amount_minor,
            authorized_at + make_interval(secs => 2 + volume_ml / 60.0) AS settled_at
        FROM priced
    ), summed AS (
        SELECT *, sum(amount_minor) OVER (PARTITION BY guest_no) AS visit_minor,
            sum(amount_minor) OVER (PARTITION BY guest_no ORDER BY n) - amount_minor AS spent_minor,
            odometer_ml + sum(volume_ml) OVER (PARTITION BY place ORDER BY n) AS to_ml
        FROM charged
    )
    SELECT n, place, venue_id, tap_path, journal_id, boot_id, tap_pour + 1 AS seq, beverage_id, price, abv_hundredths, tax_rate_bp,
        guest_no, guest_id, card_uid, md5('visit' || venue_id || visit_no)::uuid AS visit_id,
        md5('shift' || venue_id || $1)::uuid AS shift_id, keg_no, md5('keg' || tap_path || keg_no)::uuid AS keg_id,
        (lpad(to_hex((extract(epoch FROM authorized_at) * 1000)::bigint), 12, '0') || '7' || left(md5('pour' || n), 3) || 'a'
            || right(md5('pour' || n), 15))::uuid AS pour_id, md5('request' || n)::uuid AS request_id, authorized_at, settled_at,
        volume_ml, amount_minor,
        to_ml - volume_ml AS from_ml, to_ml, topped.up_minor, before.minor AS before_minor,
        greatest(volume_ml, least(1000, before.minor * 1000 / price)) AS max_volume_ml,
        (greatest(volume_ml, least(1000, before.minor * 1000 / price)) * price + 500) / 1000 AS hold_minor
    FROM summed JOIN accounts USING (guest_no),
        LATERAL (SELECT greatest(visit_minor - balance_minor + 499, 0) / 500 * 500 AS up_minor) AS topped,
        LATERAL (SELECT balance_minor + up_minor - spent_minor AS minor) AS before
    ORDER BY n"""
"""$1 night, $2 its beginning, $3 pours of a tap, $4 pours of a visit, $5 visits of a slot before a guest comes again, $6 taps of a
venue, $7 taps, $8 pours of a keg."""

VISITED: Final = """
    CREATE TEMP TABLE visited AS
    SELECT visit_id, venue_id, guest_no, guest_id, card_uid, shift_id, up_minor,
        min(authorized_at) - interval '5 minutes' AS opened_at, max(settled_at) + interval '5 minutes' AS closed_at,
        sum(amount_minor) AS spent_minor
    FROM poured GROUP BY visit_id, venue_id, guest_no, guest_id, card_uid, shift_id, up_minor"""

MONEY: Final = """
    WITH moved AS (
        INSERT INTO money_movements (
            debit_account, credit_account, amount_minor, guest_id, venue_id, shift_id, pour_id, actor, created_at)
        SELECT debit, 'guest', minor, guest_id, venue_id, shift_id, NULL, 'test-operator', at
        FROM (
            SELECT 'cash' AS debit, up_minor AS minor, *, opened_at + interval '1 minute' AS at FROM visited WHERE up_minor > 0
        ) AS topped
        UNION ALL
        SELECT 'guest', 'sales', amount_minor, guest_id, venue_id, shift_id, pour_id, tap_path, settled_at
        FROM poured WHERE amount_minor > 0
        ORDER BY 9
        RETURNING guest_id, movement_id)
    SELECT guest_id, max(movement_id) AS latest INTO TEMP moved_latest FROM moved GROUP BY guest_id"""

STATEMENTS: Final = (
    # visits, with the movements that their receipts are of
    """INSERT INTO visits (
           visit_id, venue_id, guest_id, shift_id, card_uid, opened_after_movement, closed_after_movement, opening_stages, status,
           opened_at, opened_by, closed_at, closed_by)
       SELECT visit_id, venue_id, visited.guest_id, shift_id, visited.card_uid, accounts.latest,
           coalesce(moved_latest.latest, accounts.latest), '{assigned}', 'closed',
           opened_at, 'test-operator', closed_at, 'test-operator'
       FROM visited JOIN accounts USING (guest_no) LEFT JOIN moved_latest ON moved_latest.guest_id = visited.guest_id
       ORDER BY opened_at""",
    """INSERT INTO pours (
           pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, shift_id, sync_status, request_id,
           journal_id, boot_id, seq, odometer_seen_ml, abv_hundredths, tax_rate_bp, sell_price_per_liter_minor, max_volume_ml,
           hold_minor, volume_ml, amount_minor, stock_ml, reported, end_reason, duration_ms, authorized_at, settled_at,
           settled_shift_id, settled_by)
       SELECT pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, shift_id, 'synced', request_id,
           journal_id, boot_id, seq, nullif(from_ml, 0), abv_hundredths, tax_rate_bp, price, max_volume_ml,
           hold_minor, volume_ml, amount_minor, volume_ml, true, 'card_removed', volume_ml * 1000 / 60, authorized_at, settled_at,
           shift_id, tap_path
       FROM poured ORDER BY n""",
    """INSERT INTO odometer_stretches (tap_path, journal_id, from_ml, to_ml, fact_id, boot_id, recorded_at)
       SELECT tap_path, journal_id, from_ml, to_ml, pour_id, boot_id, settled_at FROM poured ORDER BY settled_at""",
    # a keg that gave its last pour is taken off as empty, and the next one is tapped
    """CREATE TEMP TABLE tapped AS
       SELECT place, tap_path, venue_id, beverage_id, shift_id, keg_no, keg_id,
           min(authorized_at) - interval '1 minute' AS first_at, max(settled_at) + interval '30 seconds' AS last_at,
           max(seq) % $1::int = 0 AS is_kicked, min(seq) % $1 = 1 AS is_new,
           sum(volume_ml) + CASE min(seq) % $1 WHEN 1 THEN 0 ELSE min(keg_ml) END AS gave_ml
       FROM poured JOIN (SELECT place, keg_ml FROM places) AS its USING (place)
       GROUP BY place, tap_path, venue_id, beverage_id, shift_id, keg_no, keg_id""",
    """INSERT INTO kegs (
           keg_id, venue_id, beverage_id, status, initial_volume_ml, book_volume_ml, tapped_at, on_tap_since, on_tap_before_s,
           finish, finished_at, created_at)
       SELECT keg_id, venue_id, beverage_id, CASE WHEN is_kicked THEN 'retired' ELSE 'in_stock' END, $1::bigint,
           CASE WHEN is_kicked THEN 0 ELSE $1 - gave_ml END, first_at, CASE WHEN is_kicked THEN NULL ELSE first_at END,
           CASE WHEN is_kicked THEN extract(epoch FROM last_at - first_at)::bigint ELSE 0 END,
           CASE WHEN is_kicked THEN 'kicked' END, CASE WHEN is_kicked THEN last_at END, first_at - interval '1 day'
       FROM tapped
       ON CONFLICT (keg_id) DO UPDATE SET
           status = excluded.status, book_volume_ml = excluded.book_volume_ml, finish = excluded.finish,
           finished_at = excluded.finished_at, on_tap_since = CASE WHEN excluded.finish IS NULL THEN kegs.on_tap_since END,
           on_tap_before_s = CASE WHEN excluded.finish IS NULL THEN 0
               ELSE extract(epoch FROM excluded.finished_at - kegs.on_tap_since)::bigint END""",
    """INSERT INTO stock_movements (keg_id, kind, volume_ml, venue_id, tap_path, shift_id, cause_id, actor, created_at)
       SELECT keg_id, 'sale', volume_ml, venue_id, tap_path, shift_id, pour_id, tap_path, settled_at FROM poured
       UNION ALL
       SELECT keg_id, 'yield_loss', $1::bigint - gave_ml, venue_id, tap_path, shift_id, NULL, 'test-operator', last_at
       FROM tapped WHERE is_kicked AND gave_ml <> $1
       ORDER BY 9""",
    """INSERT INTO audit (action, actor, subjects, details, created_at, venue_id)
       SELECT 'pour_authorized', tap_path, ARRAY[pour_id::text, visit_id::text, guest_id::text, tap_path, card_uid],
           jsonb_build_object('hold_minor', hold_minor, 'request_id', request_id, 'balance_minor', before_minor, 'max_volume_ml',
               max_volume_ml, 'sell_price_per_liter_minor', price), authorized_at, venue_id FROM poured
       UNION ALL
       SELECT 'pour_synced', tap_path, ARRAY[pour_id::text, visit_id::text, guest_id::text, tap_path, card_uid],
           jsonb_build_object('volume_ml', volume_ml, 'loss_minor', 0, 'amount_minor', amount_minor, 'max_volume_ml',
               max_volume_ml), settled_at, venue_id FROM poured
       UNION ALL
       SELECT 'visit_opened', 'test-operator', ARRAY[visit_id::text, guest_id::text, venue_id],
           '{"patrons": 1, "alcohol_allowed": true}', opened_at, venue_id FROM visited
       UNION ALL
       SELECT 'card_assigned', 'test-operator', ARRAY[visit_id::text, card_uid, guest_id::text], '{"earlier_card_uid": null}',
           opened_at, venue_id FROM visited
       UNION ALL
       SELECT 'top_up', 'test-operator', ARRAY[guest_id::text], jsonb_build_object('method', 'cash', 'reason', NULL, 'amount_minor',
           up_minor, 'balance_minor', balance_minor + up_minor), opened_at + interval '1 minute', venue_id
       FROM visited JOIN (SELECT guest_no, balance_minor FROM accounts) AS its USING (guest_no) WHERE up_minor > 0
       UNION ALL
       SELECT 'visit_closed', 'test-operator', ARRAY[visit_id::text, guest_id::text, card_uid, venue_id], '{}', closed_at, venue_id
       FROM visited
       UNION ALL
       SELECT 'keg_created', 'test-operator', ARRAY[keg_id::text, beverage_id::text, venue_id],
           '{"initial_volume_ml": 50000}', first_at - interval '1 day', venue_id FROM tapped WHERE is_new
       UNION ALL
       SELECT 'keg_put_on', 'test-operator', ARRAY[tap_path, keg_id::text], '{}', first_at, venue_id FROM tapped WHERE is_new
       UNION ALL
       SELECT 'keg_taken_off', 'test-operator', ARRAY[tap_path, keg_id::text],
           '{"finish": "kicked", "reason": null}', last_at, venue_id
       FROM tapped WHERE is_kicked
       ORDER BY 5""",
)
"""Those with `$1` take a number: pours of a keg, or its volume."""

ANSWERS: Final = (
    """INSERT INTO authorization_answers (tap_path, event_id, fingerprint, pour_id, payload, journal_id, seq, decided_at)
       SELECT tap_path, request_id, sha256(uuid_send(request_id)), pour_id, jsonb_build_object('type', 'pour_authorized',
           'request_id', request_id, 'pour_id', pour_id, 'card_uid', card_uid, 'max_volume_ml', max_volume_ml,
           'max_duration_ms', 300000, 'idle_timeout_ms', 15000, 'display', jsonb_build_object(
           'message', 'Enjoy! You may pour now.', 'beverage', jsonb_build_object('name', 'Pils', 'style', NULL, 'abv', NULL),
           'sell_price_per_liter_minor', price, 'currency', 'EUR', 'guest_first_name', 'Guest', 'balance_minor', before_minor,
           'allowance_left_ml', NULL))::text, journal_id, seq, authorized_at
       FROM poured ORDER BY n""",
    """INSERT INTO pour_reports (tap_path, pour_id, volume_ml, odometer_from_ml, odometer_to_ml, report, verdict, received_at)
       SELECT tap_path, pour_id, volume_ml, from_ml, to_ml, jsonb_build_object('type', 'pour_completed', 'age_ms', 0,
           'boot_id', boot_id, 'pour_id', pour_id, 'card_uid', card_uid, 'volume_ml', volume_ml, 'end_reason', 'card_removed',
           'journal_id', journal_id, 'started_at', authorized_at, 'duration_ms', volume_ml * 1000 / 60, 'interrupted', false,
           'odometer_from_ml', from_ml, 'odometer_to_ml', to_ml),
           jsonb_build_object('type', 'pour_settled', 'pour_id', pour_id, 'status', 'accepted', 'outcome',
           'pending_updated_to_synced', 'reason', NULL, 'volume_ml', volume_ml, 'amount_minor', amount_minor, 'balance_minor',
           before_minor - amount_minor, 'currency', 'EUR')::text, settled_at
       FROM poured ORDER BY settled_at""",
)
"""What retention deletes: of the last month alone."""

SHIFTS_CLOSED: Final = """
    INSERT INTO audit (action, actor, subjects, details, created_at, venue_id)
    SELECT 'shift_closed', 'test-operator', ARRAY[shift_id::text, venue_id], '{}', closed_at, venue_id
    FROM shifts WHERE shift_id = ANY (SELECT DISTINCT shift_id FROM poured) ORDER BY venue_id"""

ON: Final = (
    """UPDATE accounts SET balance_minor = balance_minor + up_minor - spent_minor,
           latest = coalesce(moved_latest.latest, accounts.latest)
       FROM visited LEFT JOIN moved_latest USING (guest_id) WHERE accounts.guest_no = visited.guest_no""",
    """UPDATE places SET odometer_ml = its.to_ml FROM (SELECT place, max(to_ml) AS to_ml FROM poured GROUP BY place) AS its
       WHERE places.place = its.place""",
    """UPDATE places SET keg_ml = its.gave_ml
       FROM (SELECT DISTINCT ON (place) place, gave_ml FROM tapped ORDER BY place, keg_no DESC) AS its
       WHERE places.place = its.place""",
    "DROP TABLE poured, visited, tapped, moved_latest",
)
"""What the next night begins with."""

AT_LAST: Final = (
    "UPDATE guests SET balance_minor = accounts.balance_minor FROM accounts WHERE guests.guest_id = accounts.guest_id",
    """INSERT INTO tap_journals (tap_path, journal_id, highest_seq, highest_boot_id, odometer_first_ml, odometer_covered_ml)
       SELECT tap_path, journal_id, $1::bigint, boot_id, 0, odometer_ml FROM places""",
    """UPDATE taps SET keg_id = md5('keg' || tap_path || $1::bigint)::uuid WHERE tap_path IN (SELECT tap_path FROM places)""",
    "UPDATE beverage_names SET since = $1",
    "UPDATE venues SET created_at = $1",
)
"""$1 pours of a tap; its last keg; the beginning of the past."""
