"""The first schema: all tables of the first release. 0001 to 0012 came before it, see `tapwire_core.db.schema`."""

from alembic import op

revision = "0013"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE venues (
    venue_id varchar CONSTRAINT pk_venues PRIMARY KEY,
    name text NOT NULL,
    time_zone text NOT NULL,
    legal_age bigint NOT NULL DEFAULT 18,
    emergency_stop boolean NOT NULL DEFAULT false,
    emergency_stop_reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_venues_legal_age_sane CHECK (legal_age BETWEEN 0 AND 120)
);

CREATE TABLE users (
    username varchar CONSTRAINT pk_users PRIMARY KEY,
    role text NOT NULL,
    password_hash text NOT NULL,
    disabled boolean NOT NULL DEFAULT false,
    failed_logins bigint NOT NULL DEFAULT 0,
    locked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_users_role_known CHECK (role IN ('operator', 'shift_lead', 'engineer'))
);

CREATE TABLE sessions (
    token_hash bytea CONSTRAINT pk_sessions PRIMARY KEY,
    username varchar NOT NULL CONSTRAINT fk_sessions_username REFERENCES users,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE INDEX ix_sessions_username ON sessions (username);

CREATE TABLE login_tries (
    username varchar CONSTRAINT pk_login_tries PRIMARY KEY,
    tries bigint NOT NULL,
    locked_until timestamptz,
    tried_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE guests (
    guest_id uuid CONSTRAINT pk_guests PRIMARY KEY,
    first_name text NOT NULL,
    last_name text,
    phone varchar,
    birth_date date,
    age_checked_by text,
    age_checked_at timestamptz,
    blocked boolean NOT NULL DEFAULT false,
    balance_minor bigint NOT NULL DEFAULT 0,
    held_minor bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_guests_balance_covers_holds CHECK (balance_minor >= held_minor AND held_minor >= 0)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE INDEX ix_guests_created ON guests (created_at, guest_id);
CREATE INDEX ix_guests_phone ON guests (phone);

CREATE TABLE cards (
    card_uid varchar CONSTRAINT pk_cards PRIMARY KEY,
    status text NOT NULL DEFAULT 'available',
    guest_id uuid CONSTRAINT fk_cards_guest_id REFERENCES guests,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_cards_status_known CHECK (status IN ('available', 'bound', 'lost', 'retired')),
    CONSTRAINT ck_cards_bound_has_guest CHECK ((status = 'bound') <= (guest_id IS NOT NULL)),
    CONSTRAINT ck_cards_card_uid_normal CHECK (card_uid ~ '^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$')
);

CREATE INDEX ix_cards_guest_id ON cards (guest_id);

CREATE TABLE beverages (
    beverage_id uuid CONSTRAINT pk_beverages PRIMARY KEY,
    name text NOT NULL,
    style text,
    abv numeric(5, 2),
    sell_price_per_liter_minor bigint NOT NULL,
    archived_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_beverages_price_positive CHECK (sell_price_per_liter_minor >= 1),
    CONSTRAINT ck_beverages_abv_percent CHECK (abv BETWEEN 0 AND 100)
);

CREATE TABLE kegs (
    keg_id uuid CONSTRAINT pk_kegs PRIMARY KEY,
    venue_id varchar NOT NULL CONSTRAINT fk_kegs_venue_id REFERENCES venues,
    beverage_id uuid NOT NULL CONSTRAINT fk_kegs_beverage_id REFERENCES beverages,
    status text NOT NULL DEFAULT 'in_stock',
    initial_volume_ml bigint NOT NULL,
    book_volume_ml bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_kegs_initial_volume_positive CHECK (initial_volume_ml >= 1),
    CONSTRAINT ck_kegs_status_known CHECK (status IN ('in_stock', 'retired'))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE INDEX ix_kegs_beverage_id ON kegs (beverage_id);
CREATE INDEX ix_kegs_venue_id ON kegs (venue_id);

CREATE TABLE taps (
    tap_path varchar CONSTRAINT pk_taps PRIMARY KEY,
    venue_id varchar NOT NULL CONSTRAINT fk_taps_venue_id REFERENCES venues,
    tap_id text NOT NULL,
    name text NOT NULL,
    status text NOT NULL DEFAULT 'active',
    status_reason text,
    pulses_per_liter bigint NOT NULL DEFAULT 450,
    max_pour_ml bigint NOT NULL DEFAULT 1000,
    keg_id uuid CONSTRAINT fk_taps_keg_id REFERENCES kegs,
    config_revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_taps_status_known CHECK (status IN ('active', 'locked', 'cleaning')),
    CONSTRAINT ck_taps_path_is_venue_and_tap CHECK (tap_path = venue_id || '/taps/' || tap_id),
    CONSTRAINT ck_taps_pulses_per_liter_sane CHECK (pulses_per_liter BETWEEN 1 AND 1000000),
    CONSTRAINT ck_taps_max_pour_positive CHECK (max_pour_ml >= 1)
) WITH (fillfactor = 70);

CREATE INDEX ix_taps_venue_id ON taps (venue_id);
CREATE UNIQUE INDEX uq_taps_keg_id ON taps (keg_id) WHERE keg_id IS NOT NULL;

CREATE TABLE shifts (
    shift_id uuid CONSTRAINT pk_shifts PRIMARY KEY,
    venue_id varchar NOT NULL CONSTRAINT fk_shifts_venue_id REFERENCES venues,
    status text NOT NULL DEFAULT 'open',
    opened_at timestamptz NOT NULL DEFAULT now(),
    opened_by text NOT NULL,
    closed_at timestamptz,
    closed_by text,
    z_report jsonb,
    z_report_at timestamptz,
    z_report_by text,
    CONSTRAINT ck_shifts_status_known CHECK (status IN ('open', 'closed')),
    CONSTRAINT ck_shifts_closed_has_time CHECK ((status = 'closed') = (closed_at IS NOT NULL))
);

CREATE INDEX ix_shifts_venue_id ON shifts (venue_id);
CREATE UNIQUE INDEX uq_shifts_one_open_per_venue ON shifts (venue_id) WHERE status = 'open';

CREATE TABLE visits (
    visit_id uuid CONSTRAINT pk_visits PRIMARY KEY,
    venue_id varchar NOT NULL CONSTRAINT fk_visits_venue_id REFERENCES venues,
    guest_id uuid NOT NULL CONSTRAINT fk_visits_guest_id REFERENCES guests,
    shift_id uuid CONSTRAINT fk_visits_shift_id REFERENCES shifts,
    card_uid varchar CONSTRAINT fk_visits_card_uid REFERENCES cards,
    opening_stages text[],
    status text NOT NULL DEFAULT 'active',
    opened_at timestamptz NOT NULL DEFAULT now(),
    opened_by text NOT NULL,
    closed_at timestamptz,
    closed_by text,
    active_tap_id text,
    lock_set_at timestamptz,
    CONSTRAINT ck_visits_status_known CHECK (status IN ('active', 'closed')),
    CONSTRAINT ck_visits_closed_has_time CHECK ((status = 'closed') = (closed_at IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE INDEX ix_visits_guest_id ON visits (guest_id);
CREATE INDEX ix_visits_opened ON visits (opened_at, visit_id);
CREATE INDEX ix_visits_venue_active ON visits (venue_id) WHERE status = 'active';
CREATE UNIQUE INDEX uq_visits_one_active_per_card ON visits (card_uid) WHERE status = 'active' AND card_uid IS NOT NULL;
CREATE UNIQUE INDEX uq_visits_one_active_per_guest ON visits (guest_id) WHERE status = 'active';

CREATE TABLE pours (
    pour_id uuid CONSTRAINT pk_pours PRIMARY KEY,
    visit_id uuid NOT NULL CONSTRAINT fk_pours_visit_id REFERENCES visits,
    guest_id uuid NOT NULL CONSTRAINT fk_pours_guest_id REFERENCES guests,
    card_uid varchar NOT NULL CONSTRAINT fk_pours_card_uid REFERENCES cards,
    venue_id varchar NOT NULL CONSTRAINT fk_pours_venue_id REFERENCES venues,
    tap_path varchar NOT NULL CONSTRAINT fk_pours_tap_path REFERENCES taps,
    keg_id uuid NOT NULL CONSTRAINT fk_pours_keg_id REFERENCES kegs,
    beverage_id uuid NOT NULL CONSTRAINT fk_pours_beverage_id REFERENCES beverages,
    shift_id uuid CONSTRAINT fk_pours_shift_id REFERENCES shifts,
    sync_status text NOT NULL DEFAULT 'pending_sync',
    request_id uuid NOT NULL,
    journal_id uuid,
    seq bigint,
    sell_price_per_liter_minor bigint NOT NULL,
    max_volume_ml bigint NOT NULL,
    hold_minor bigint NOT NULL,
    volume_ml bigint NOT NULL DEFAULT 0,
    amount_minor bigint NOT NULL DEFAULT 0,
    loss_minor bigint NOT NULL DEFAULT 0,
    stock_ml bigint NOT NULL DEFAULT 0,
    reported boolean NOT NULL DEFAULT false,
    report_refused boolean NOT NULL DEFAULT false,
    report_may_have_come boolean NOT NULL DEFAULT false,
    end_reason text,
    stop_reason text,
    duration_ms bigint,
    asked_at timestamptz,
    authorized_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    settled_shift_id uuid CONSTRAINT fk_pours_settled_shift_id REFERENCES shifts,
    settled_by text,
    CONSTRAINT ck_pours_sync_status_known
        CHECK (sync_status IN ('pending_sync', 'synced', 'reconciled', 'rejected', 'voided')),
    CONSTRAINT ck_pours_end_reason_known
        CHECK (end_reason IN ('card_removed', 'limit', 'no_flow', 'max_duration', 'stopped', 'disabled', 'power_loss',
            'never_started', 'fault')),
    CONSTRAINT ck_pours_stop_reason_known
        CHECK (stop_reason IN ('lost_card', 'operator', 'reconciled', 'force_unlocked', 'visit_closed')),
    CONSTRAINT ck_pours_pending_is_empty CHECK (sync_status <> 'pending_sync' OR (volume_ml = 0 AND amount_minor = 0)),
    CONSTRAINT ck_pours_terminal_has_time CHECK ((sync_status = 'pending_sync') = (settled_at IS NULL)),
    CONSTRAINT ck_pours_not_negative CHECK (volume_ml >= 0 AND amount_minor >= 0 AND hold_minor >= 0),
    CONSTRAINT ck_pours_price_positive CHECK (sell_price_per_liter_minor >= 1)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- statistics taken while no pour was pending would make the planner expect none, and read all of them, dead ones too
ALTER TABLE pours ALTER COLUMN sync_status SET STATISTICS 0;

CREATE INDEX ix_pours_authorized ON pours (authorized_at, pour_id);
CREATE INDEX ix_pours_guest_holds ON pours (guest_id) INCLUDE (hold_minor) WHERE sync_status = 'pending_sync';
CREATE INDEX ix_pours_guest_id ON pours (guest_id);
CREATE INDEX ix_pours_keg_id ON pours (keg_id);
CREATE INDEX ix_pours_settled_shift_id ON pours (settled_shift_id);
-- for lists alone: its own collation keeps a decision from looking for a tap's pending pour among all its pours
CREATE INDEX ix_pours_tap ON pours (tap_path COLLATE "C", authorized_at);
CREATE INDEX ix_pours_venue ON pours (venue_id, authorized_at);
CREATE INDEX ix_pours_visit ON pours (visit_id, authorized_at);
CREATE UNIQUE INDEX uq_pours_tap_lease ON pours (tap_path) WHERE sync_status = 'pending_sync';
CREATE UNIQUE INDEX uq_pours_visit_lease ON pours (visit_id) WHERE sync_status = 'pending_sync';

CREATE TABLE authorization_answers (
    tap_path varchar NOT NULL,
    event_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    pour_id uuid CONSTRAINT fk_authorization_answers_pour_id REFERENCES pours,
    payload text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_authorization_answers PRIMARY KEY (tap_path, event_id)
);

CREATE TABLE pour_reports (
    report_id bigserial CONSTRAINT pk_pour_reports PRIMARY KEY,
    tap_path text NOT NULL,
    pour_id uuid NOT NULL,
    volume_ml bigint NOT NULL,
    odometer_from_ml bigint,
    odometer_to_ml bigint,
    report jsonb NOT NULL DEFAULT '{}',
    verdict text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX uq_pour_reports_same ON pour_reports (pour_id, tap_path, volume_ml, odometer_from_ml, odometer_to_ml)
    NULLS NOT DISTINCT;

CREATE TABLE flows (
    tap_path varchar NOT NULL CONSTRAINT fk_flows_tap_path REFERENCES taps,
    event_id uuid NOT NULL,
    cause text NOT NULL,
    volume_ml bigint NOT NULL,
    duration_ms bigint NOT NULL,
    card_uid text,
    keg_id uuid CONSTRAINT fk_flows_keg_id REFERENCES kegs,
    venue_id varchar NOT NULL CONSTRAINT fk_flows_venue_id REFERENCES venues,
    stock_kind text NOT NULL DEFAULT 'unattributed',
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_flows PRIMARY KEY (tap_path, event_id),
    CONSTRAINT ck_flows_cause_known CHECK (cause IN ('closed_valve', 'cleaning', 'calibration', 'test'))
);

CREATE TABLE tap_journals (
    tap_path varchar NOT NULL CONSTRAINT fk_tap_journals_tap_path REFERENCES taps,
    journal_id uuid NOT NULL,
    highest_seq bigint NOT NULL DEFAULT 0,
    odometer_first_ml bigint,
    odometer_covered_ml bigint,
    CONSTRAINT pk_tap_journals PRIMARY KEY (tap_path, journal_id)
) WITH (fillfactor = 70);

CREATE TABLE odometer_stretches (
    stretch_id bigserial CONSTRAINT pk_odometer_stretches PRIMARY KEY,
    tap_path varchar NOT NULL CONSTRAINT fk_odometer_stretches_tap_path REFERENCES taps,
    journal_id uuid NOT NULL,
    from_ml bigint NOT NULL,
    to_ml bigint NOT NULL,
    fact_id uuid NOT NULL,
    is_hole boolean NOT NULL DEFAULT false,
    keg_id uuid CONSTRAINT fk_odometer_stretches_keg_id REFERENCES kegs,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_odometer_stretches_goes_forward CHECK (from_ml >= 0 AND to_ml > from_ml)
);

CREATE INDEX ix_odometer_stretches_to ON odometer_stretches (tap_path, journal_id, to_ml);
CREATE UNIQUE INDEX uq_odometer_stretches_fact ON odometer_stretches (fact_id, tap_path, journal_id, from_ml, to_ml);

CREATE TABLE money_movements (
    movement_id bigserial CONSTRAINT pk_money_movements PRIMARY KEY,
    debit_account text NOT NULL,
    credit_account text NOT NULL,
    amount_minor bigint NOT NULL,
    guest_id uuid CONSTRAINT fk_money_movements_guest_id REFERENCES guests,
    venue_id varchar CONSTRAINT fk_money_movements_venue_id REFERENCES venues,
    shift_id uuid CONSTRAINT fk_money_movements_shift_id REFERENCES shifts,
    pour_id uuid CONSTRAINT fk_money_movements_pour_id REFERENCES pours,
    incident_id uuid,
    reason text,
    actor text NOT NULL,
    request_id varchar,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_money_movements_debit_account_known
        CHECK (debit_account IN ('guest', 'cash', 'card', 'sales', 'overpour_loss', 'adjustment')),
    CONSTRAINT ck_money_movements_credit_account_known
        CHECK (credit_account IN ('guest', 'cash', 'card', 'sales', 'overpour_loss', 'adjustment')),
    CONSTRAINT ck_money_movements_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT ck_money_movements_two_sides CHECK (debit_account <> credit_account),
    CONSTRAINT ck_money_movements_guest_account_has_guest
        CHECK ((debit_account <> 'guest' AND credit_account <> 'guest') OR guest_id IS NOT NULL)
);

CREATE INDEX ix_money_movements_guest ON money_movements (guest_id, movement_id);
CREATE INDEX ix_money_movements_incident ON money_movements (incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX ix_money_movements_pour ON money_movements (pour_id) WHERE pour_id IS NOT NULL;
CREATE INDEX ix_money_movements_shift ON money_movements (shift_id);

CREATE TABLE stock_movements (
    movement_id bigserial CONSTRAINT pk_stock_movements PRIMARY KEY,
    keg_id uuid NOT NULL CONSTRAINT fk_stock_movements_keg_id REFERENCES kegs,
    kind text NOT NULL,
    volume_ml bigint NOT NULL,
    venue_id varchar NOT NULL CONSTRAINT fk_stock_movements_venue_id REFERENCES venues,
    tap_path varchar CONSTRAINT fk_stock_movements_tap_path REFERENCES taps,
    shift_id uuid CONSTRAINT fk_stock_movements_shift_id REFERENCES shifts,
    cause_id uuid,
    reason text,
    actor text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_stock_movements_kind_known
        CHECK (kind IN ('sale', 'overpour', 'unattributed', 'correction', 'line_cleaning')),
    CONSTRAINT ck_stock_movements_volume_moves CHECK (volume_ml <> 0)
);

CREATE INDEX ix_stock_movements_cause ON stock_movements (cause_id);
CREATE INDEX ix_stock_movements_keg ON stock_movements (keg_id, movement_id);
CREATE INDEX ix_stock_movements_shift ON stock_movements (shift_id);

CREATE TABLE audit (
    audit_id bigserial CONSTRAINT pk_audit PRIMARY KEY,
    action text NOT NULL,
    actor text NOT NULL,
    subjects text[] NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    request_id text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX ix_audit_action ON audit (action, audit_id);
CREATE INDEX ix_audit_created_at ON audit USING brin (created_at);
CREATE INDEX ix_audit_subjects ON audit USING gin (subjects);

CREATE TABLE incidents (
    incident_id uuid CONSTRAINT pk_incidents PRIMARY KEY,
    kind text NOT NULL,
    cause text NOT NULL,
    status text NOT NULL DEFAULT 'open',
    venue_id text,
    tap_path text,
    pour_id uuid,
    details jsonb NOT NULL DEFAULT '{}',
    occurrences bigint NOT NULL DEFAULT 1,
    raised_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    owner text,
    claimed_at timestamptz,
    resolution text,
    resolved_at timestamptz,
    resolved_by text,
    comment text,
    CONSTRAINT ck_incidents_kind_known
        CHECK (kind IN ('missing_pending', 'late_mismatch', 'overpour', 'rejected_insufficient_funds', 'invalid_report',
            'odometer_mismatch', 'odometer_rewound', 'volume_gap', 'keg_overdrawn', 'unattributed_flow', 'journal_lost',
            'sync_timeout', 'dead_letter', 'webhook_failing')),
    CONSTRAINT ck_incidents_status_known CHECK (status IN ('open', 'claimed', 'resolved')),
    CONSTRAINT ck_incidents_resolution_known CHECK (resolution IN ('charged', 'written_off', 'corrected', 'no_action'))
);

CREATE INDEX ix_incidents_open_of_pour ON incidents (pour_id) WHERE pour_id IS NOT NULL AND status <> 'resolved';
CREATE INDEX ix_incidents_pour ON incidents (pour_id) WHERE pour_id IS NOT NULL;
CREATE INDEX ix_incidents_raised ON incidents (raised_at, incident_id);
CREATE INDEX ix_incidents_unresolved ON incidents (raised_at) WHERE status <> 'resolved';
CREATE UNIQUE INDEX uq_incidents_cause ON incidents (kind, cause) WHERE status <> 'resolved';

CREATE TABLE dead_letters (
    dead_letter_id bigserial CONSTRAINT pk_dead_letters PRIMARY KEY,
    topic text NOT NULL,
    malformation text NOT NULL,
    explanation text NOT NULL,
    payload bytea NOT NULL,
    payload_hash bytea NOT NULL,
    payload_bytes bigint NOT NULL,
    occurrences bigint NOT NULL DEFAULT 1,
    received_at timestamptz NOT NULL DEFAULT now(),
    last_received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_dead_letters_malformation_known
        CHECK (malformation IN ('oversize', 'not_json', 'unknown_type', 'invalid_field', 'unknown_topic', 'unknown_device',
            'retained_command', 'event_id_reused', 'invalid_report'))
);

CREATE UNIQUE INDEX uq_dead_letters_same ON dead_letters (topic, payload_hash, malformation);

CREATE TABLE idempotent_answers (
    scope varchar NOT NULL,
    idempotency_key varchar NOT NULL,
    body_hash bytea NOT NULL,
    done boolean NOT NULL DEFAULT false,
    status_code bigint,
    answer text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_idempotent_answers PRIMARY KEY (scope, idempotency_key)
);

CREATE INDEX ix_idempotent_answers_created_at ON idempotent_answers (created_at);

CREATE TABLE command_outbox (
    command_id bigserial CONSTRAINT pk_command_outbox PRIMARY KEY,
    tap_path text NOT NULL,
    payload text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE node_status (
    path varchar CONSTRAINT pk_node_status PRIMARY KEY,
    status text NOT NULL,
    boot_id uuid NOT NULL,
    connection bigint NOT NULL,
    state jsonb NOT NULL DEFAULT '{}',
    seen_at timestamptz NOT NULL DEFAULT now(),
    progress jsonb,
    progress_at timestamptz,
    CONSTRAINT ck_node_status_status_known CHECK (status IN ('online', 'offline'))
) WITH (fillfactor = 50);

CREATE TABLE devices (
    path varchar CONSTRAINT pk_devices PRIMARY KEY,
    kind text NOT NULL,
    secret_hash bytea NOT NULL,
    broker_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT ck_devices_kind_known CHECK (kind IN ('taps', 'readers'))
);

CREATE TABLE device_pairings (
    claim_hash bytea CONSTRAINT pk_device_pairings PRIMARY KEY,
    code text NOT NULL,
    expires_at timestamptz NOT NULL,
    path text,
    accepted_by text,
    claimed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_device_pairings_code UNIQUE (code),
    CONSTRAINT ck_device_pairings_accepted_by_somebody CHECK ((path IS NULL) = (accepted_by IS NULL)),
    CONSTRAINT ck_device_pairings_claimed_when_accepted CHECK (claimed_at IS NULL OR path IS NOT NULL)
);

CREATE TABLE webhooks (
    webhook_id uuid CONSTRAINT pk_webhooks PRIMARY KEY,
    url text NOT NULL,
    description text,
    event_types text[] NOT NULL,
    enabled boolean NOT NULL DEFAULT false,
    off_reason text,
    active_since timestamptz NOT NULL,
    secret text NOT NULL,
    old_secret text,
    old_secret_until timestamptz,
    failures bigint NOT NULL DEFAULT 0,
    failing_since timestamptz,
    retry_at timestamptz,
    replay_after bigint,
    replay_until bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    CONSTRAINT ck_webhooks_off_reason_known CHECK (off_reason IN ('by_hand', 'failing', 'gone', 'restored')),
    CONSTRAINT ck_webhooks_off_for_a_reason CHECK (enabled = (off_reason IS NULL)),
    CONSTRAINT ck_webhooks_old_secret_ends CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CONSTRAINT ck_webhooks_failing_since_a_time CHECK ((failures = 0) = (failing_since IS NULL)),
    CONSTRAINT ck_webhooks_replay_has_two_ends CHECK ((replay_after IS NULL) = (replay_until IS NULL))
);

CREATE TABLE webhook_cursor (
    one integer DEFAULT 1 CONSTRAINT pk_webhook_cursor PRIMARY KEY,
    audit_id bigint NOT NULL,
    CONSTRAINT ck_webhook_cursor_only_row CHECK (one = 1)
);

CREATE TABLE webhook_events (
    event_id uuid CONSTRAINT pk_webhook_events PRIMARY KEY,
    audit_id bigint,
    event_type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    payload text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX ix_webhook_events_created_at ON webhook_events (created_at);

CREATE TABLE webhook_deliveries (
    delivery_id uuid CONSTRAINT pk_webhook_deliveries PRIMARY KEY,
    webhook_id uuid NOT NULL CONSTRAINT fk_webhook_deliveries_webhook_id REFERENCES webhooks,
    event_id uuid NOT NULL CONSTRAINT fk_webhook_deliveries_event_id REFERENCES webhook_events,
    cause text NOT NULL DEFAULT 'event',
    status text NOT NULL DEFAULT 'pending',
    attempts bigint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    attempted_at timestamptz,
    delivered_at timestamptz,
    answer_status bigint,
    answer text,
    error text,
    duration_ms bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_webhook_deliveries_status_known CHECK (status IN ('pending', 'delivered', 'failed')),
    CONSTRAINT ck_webhook_deliveries_cause_known CHECK (cause IN ('event', 'replay', 'test')),
    CONSTRAINT ck_webhook_deliveries_delivered_has_time CHECK ((status = 'delivered') = (delivered_at IS NOT NULL))
);

CREATE INDEX ix_webhook_deliveries_created_at ON webhook_deliveries (created_at);
CREATE INDEX ix_webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at) WHERE status = 'pending';
CREATE INDEX ix_webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX ix_webhook_deliveries_made ON webhook_deliveries (webhook_id, created_at, delivery_id);
CREATE INDEX ix_webhook_deliveries_tests ON webhook_deliveries (due_at) WHERE status = 'pending' AND cause = 'test';
"""


def upgrade() -> None:
    """Go to this revision."""
    for statement in TABLES.strip().split(";\n"):
        op.get_bind().exec_driver_sql(statement)
