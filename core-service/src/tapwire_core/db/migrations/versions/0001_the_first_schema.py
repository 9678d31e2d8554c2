"""the first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("subjects", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_action", "audit", ["action", "audit_id"], unique=False)
    op.create_index("ix_audit_created_at", "audit", ["created_at"], unique=False, postgresql_using="brin")
    op.create_index("ix_audit_subjects", "audit", ["subjects"], unique=False, postgresql_using="gin")
    op.create_table(
        "beverages",
        sa.Column("beverage_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("style", sa.Text(), nullable=True),
        sa.Column("abv", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("sell_price_per_liter_minor", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("abv BETWEEN 0 AND 100", name=op.f("ck_beverages_abv_percent")),
        sa.CheckConstraint("sell_price_per_liter_minor >= 1", name=op.f("ck_beverages_price_positive")),
        sa.PrimaryKeyConstraint("beverage_id", name=op.f("pk_beverages")),
    )
    op.create_table(
        "command_outbox",
        sa.Column("command_id", sa.BigInteger(), nullable=False),
        sa.Column("tap_path", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("command_id", name=op.f("pk_command_outbox")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("dead_letter_id", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("malformation", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("payload_bytes", sa.BigInteger(), nullable=False),
        sa.Column("occurrences", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "malformation IN ('oversize', 'not_json', 'unknown_type', 'invalid_field', 'unknown_topic', 'unknown_device', 'retained_command', 'event_id_reused', 'invalid_report')",
            name=op.f("ck_dead_letters_malformation_known"),
        ),
        sa.PrimaryKeyConstraint("dead_letter_id", name=op.f("pk_dead_letters")),
    )
    op.create_index("uq_dead_letters_same", "dead_letters", ["topic", "payload_hash", "malformation"], unique=True)
    op.create_table(
        "devices",
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("broker_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('taps', 'readers')", name=op.f("ck_devices_kind_known")),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_devices")),
    )
    op.create_table(
        "guests",
        sa.Column("guest_id", sa.Uuid(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("age_checked_by", sa.Text(), nullable=True),
        sa.Column("age_checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("blocked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("held_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("balance_minor >= held_minor AND held_minor >= 0", name=op.f("ck_guests_balance_covers_holds")),
        sa.PrimaryKeyConstraint("guest_id", name=op.f("pk_guests")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_guests_created", "guests", ["created_at", "guest_id"], unique=False)
    op.create_index(op.f("ix_guests_phone"), "guests", ["phone"], unique=False)
    op.create_table(
        "idempotent_answers",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("done", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status_code", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("scope", "idempotency_key", name=op.f("pk_idempotent_answers")),
    )
    op.create_index("ix_idempotent_answers_created_at", "idempotent_answers", ["created_at"], unique=False)
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("venue_id", sa.Text(), nullable=True),
        sa.Column("tap_path", sa.Text(), nullable=True),
        sa.Column("pour_id", sa.Uuid(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("occurrences", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('missing_pending', 'late_mismatch', 'overpour', 'rejected_insufficient_funds', 'invalid_report', 'odometer_mismatch', 'odometer_rewound', 'volume_gap', 'keg_overdrawn', 'unattributed_flow', 'journal_lost', 'sync_timeout', 'dead_letter')",
            name=op.f("ck_incidents_kind_known"),
        ),
        sa.CheckConstraint(
            "resolution IN ('charged', 'written_off', 'corrected', 'no_action')", name=op.f("ck_incidents_resolution_known")
        ),
        sa.CheckConstraint("status IN ('open', 'claimed', 'resolved')", name=op.f("ck_incidents_status_known")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incidents")),
    )
    op.create_index("ix_incidents_pour", "incidents", ["pour_id"], unique=False, postgresql_where="pour_id IS NOT NULL")
    op.create_index("ix_incidents_raised", "incidents", ["raised_at", "incident_id"], unique=False)
    op.create_index("ix_incidents_unresolved", "incidents", ["raised_at"], unique=False, postgresql_where="status <> 'resolved'")
    op.create_index("uq_incidents_cause", "incidents", ["kind", "cause"], unique=True, postgresql_where="status <> 'resolved'")
    op.create_table(
        "node_status",
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Uuid(), nullable=False),
        sa.Column("connection", sa.BigInteger(), nullable=False),
        sa.Column("state", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("progress", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('online', 'offline')", name=op.f("ck_node_status_status_known")),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_node_status")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "pour_reports",
        sa.Column("report_id", sa.BigInteger(), nullable=False),
        sa.Column("tap_path", sa.Text(), nullable=False),
        sa.Column("pour_id", sa.Uuid(), nullable=False),
        sa.Column("volume_ml", sa.BigInteger(), nullable=False),
        sa.Column("odometer_from_ml", sa.BigInteger(), nullable=True),
        sa.Column("odometer_to_ml", sa.BigInteger(), nullable=True),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_pour_reports")),
    )
    op.create_index(
        "uq_pour_reports_same",
        "pour_reports",
        ["pour_id", "tap_path", "volume_ml", "odometer_from_ml", "odometer_to_ml"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "users",
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("failed_logins", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role IN ('operator', 'shift_lead', 'engineer')", name=op.f("ck_users_role_known")),
        sa.PrimaryKeyConstraint("username", name=op.f("pk_users")),
    )
    op.create_table(
        "venues",
        sa.Column("venue_id", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("legal_age", sa.BigInteger(), server_default=sa.text("18"), nullable=False),
        sa.Column("emergency_stop", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("emergency_stop_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("legal_age BETWEEN 0 AND 120", name=op.f("ck_venues_legal_age_sane")),
        sa.PrimaryKeyConstraint("venue_id", name=op.f("pk_venues")),
    )
    op.create_table(
        "cards",
        sa.Column("card_uid", sa.String(), nullable=False),
        sa.Column("status", sa.Text(), server_default="available", nullable=False),
        sa.Column("guest_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(status = 'bound') <= (guest_id IS NOT NULL)", name=op.f("ck_cards_bound_has_guest")),
        sa.CheckConstraint("card_uid ~ '^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$'", name=op.f("ck_cards_card_uid_normal")),
        sa.CheckConstraint("status IN ('available', 'bound', 'lost', 'retired')", name=op.f("ck_cards_status_known")),
        sa.ForeignKeyConstraint(["guest_id"], ["guests.guest_id"], name=op.f("fk_cards_guest_id")),
        sa.PrimaryKeyConstraint("card_uid", name=op.f("pk_cards")),
    )
    op.create_index(op.f("ix_cards_guest_id"), "cards", ["guest_id"], unique=False)
    op.create_table(
        "kegs",
        sa.Column("keg_id", sa.Uuid(), nullable=False),
        sa.Column("venue_id", sa.String(), nullable=False),
        sa.Column("beverage_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="in_stock", nullable=False),
        sa.Column("initial_volume_ml", sa.BigInteger(), nullable=False),
        sa.Column("book_volume_ml", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('in_stock', 'retired')", name=op.f("ck_kegs_status_known")),
        sa.CheckConstraint("initial_volume_ml >= 1", name=op.f("ck_kegs_initial_volume_positive")),
        sa.ForeignKeyConstraint(["beverage_id"], ["beverages.beverage_id"], name=op.f("fk_kegs_beverage_id")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.venue_id"], name=op.f("fk_kegs_venue_id")),
        sa.PrimaryKeyConstraint("keg_id", name=op.f("pk_kegs")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(op.f("ix_kegs_beverage_id"), "kegs", ["beverage_id"], unique=False)
    op.create_index(op.f("ix_kegs_venue_id"), "kegs", ["venue_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["username"], ["users.username"], name=op.f("fk_sessions_username")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_username"), "sessions", ["username"], unique=False)
    op.create_table(
        "shifts",
        sa.Column("shift_id", sa.Uuid(), nullable=False),
        sa.Column("venue_id", sa.String(), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("z_report", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("z_report_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("z_report_by", sa.Text(), nullable=True),
        sa.CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_shifts_closed_has_time")),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_shifts_status_known")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.venue_id"], name=op.f("fk_shifts_venue_id")),
        sa.PrimaryKeyConstraint("shift_id", name=op.f("pk_shifts")),
    )
    op.create_index(op.f("ix_shifts_venue_id"), "shifts", ["venue_id"], unique=False)
    op.create_index("uq_shifts_one_open_per_venue", "shifts", ["venue_id"], unique=True, postgresql_where="status = 'open'")
    op.create_table(
        "taps",
        sa.Column("tap_path", sa.String(), nullable=False),
        sa.Column("venue_id", sa.String(), nullable=False),
        sa.Column("tap_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("pulses_per_liter", sa.BigInteger(), server_default=sa.text("450"), nullable=False),
        sa.Column("max_pour_ml", sa.BigInteger(), server_default=sa.text("1000"), nullable=False),
        sa.Column("keg_id", sa.Uuid(), nullable=True),
        sa.Column("config_revision", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('active', 'locked', 'cleaning')", name=op.f("ck_taps_status_known")),
        sa.CheckConstraint("tap_path = venue_id || '/taps/' || tap_id", name=op.f("ck_taps_path_is_venue_and_tap")),
        sa.CheckConstraint("max_pour_ml >= 1", name=op.f("ck_taps_max_pour_positive")),
        sa.CheckConstraint("pulses_per_liter BETWEEN 1 AND 1000000", name=op.f("ck_taps_pulses_per_liter_sane")),
        sa.ForeignKeyConstraint(["keg_id"], ["kegs.keg_id"], name=op.f("fk_taps_keg_id")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.venue_id"], name=op.f("fk_taps_venue_id")),
        sa.PrimaryKeyConstraint("tap_path", name=op.f("pk_taps")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(op.f("ix_taps_venue_id"), "taps", ["venue_id"], unique=False)
    op.create_index("uq_taps_keg_id", "taps", ["keg_id"], unique=True, postgresql_where="keg_id IS NOT NULL")
    op.create_table(
        "visits",
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("venue_id", sa.String(), nullable=False),
        sa.Column("guest_id", sa.Uuid(), nullable=False),
        sa.Column("shift_id", sa.Uuid(), nullable=True),
        sa.Column("card_uid", sa.String(), nullable=True),
        sa.Column("opening_stages", postgresql.ARRAY(sa.TEXT()), nullable=True),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("active_tap_id", sa.Text(), nullable=True),
        sa.Column("lock_set_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_visits_closed_has_time")),
        sa.CheckConstraint("status IN ('active', 'closed')", name=op.f("ck_visits_status_known")),
        sa.ForeignKeyConstraint(["card_uid"], ["cards.card_uid"], name=op.f("fk_visits_card_uid")),
        sa.ForeignKeyConstraint(["guest_id"], ["guests.guest_id"], name=op.f("fk_visits_guest_id")),
        sa.ForeignKeyConstraint(["shift_id"], ["shifts.shift_id"], name=op.f("fk_visits_shift_id")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.venue_id"], name=op.f("fk_visits_venue_id")),
        sa.PrimaryKeyConstraint("visit_id", name=op.f("pk_visits")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(op.f("ix_visits_guest_id"), "visits", ["guest_id"], unique=False)
    op.create_index("ix_visits_opened", "visits", ["opened_at", "visit_id"], unique=False)
    op.create_index("ix_visits_venue_active", "visits", ["venue_id"], unique=False, postgresql_where="status = 'active'")
    op.create_index(
        "uq_visits_one_active_per_card",
        "visits",
        ["card_uid"],
        unique=True,
        postgresql_where="status = 'active' AND card_uid IS NOT NULL",
    )
    op.create_index("uq_visits_one_active_per_guest", "visits", ["guest_id"], unique=True, postgresql_where="status = 'active'")
    op.create_table(
        "flows",
        sa.Column("tap_path", sa.String(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("volume_ml", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("card_uid", sa.Text(), nullable=True),
        sa.Column("keg_id", sa.Uuid(), nullable=True),
        sa.Column("venue_id", sa.String(), nullable=False),
        sa.Column("stock_kind", sa.Text(), server_default="unattributed", nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("cause IN ('closed_valve', 'cleaning', 'calibration', 'test')", name=op.f("ck_flows_cause_known")),
        sa.ForeignKeyConstraint(["keg_id"], ["kegs.keg_id"], name=op.f("fk_flows_keg_id")),
        sa.ForeignKeyConstraint(["tap_path"], ["taps.tap_path"], name=op.f("fk_flows_tap_path")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.venue_id"], name=op.f("fk_flows_venue_id")),
        sa.PrimaryKeyConstraint("tap_path", "event_id", name=op.f("pk_flows")),
    )
    op.create_table(
        "odometer_stretches",
        sa.Column("stretch_id", sa.BigInteger(), nullable=False),
        sa.Column("tap_path", sa.String(), nullable=False),
        sa.Column("journal_id", sa.Uuid(), nullable=False),
        sa.Column("from_ml", sa.BigInteger(), nullable=False),
        sa.Column("to_ml", sa.BigInteger(), nullable=False),
        sa.Column("fact_id", sa.Uuid(), nullable=False),
        sa.Column("is_hole", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("keg_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("from_ml >= 0 AND to_ml > from_ml", name=op.f("ck_odometer_stretches_goes_forward")),
        sa.ForeignKeyConstraint(["keg_id"], ["kegs.keg_id"], name=op.f("fk_odometer_stretches_keg_id")),
        sa.ForeignKeyConstraint(["tap_path"], ["taps.tap_path"], name=op.f("fk_odometer_stretches_tap_path")),
        sa.PrimaryKeyConstraint("stretch_id", name=op.f("pk_odometer_stretches")),
    )
    op.create_index("ix_odometer_stretches_to", "odometer_stretches", ["tap_path", "journal_id", "to_ml"], unique=False)
    op.create_index(
        "uq_odometer_stretches_fact", "odometer_stretches", ["tap_path", "journal_id", "fact_id", "from_ml", "to_ml"], unique=True
    )
    op.create_table(
        "pours",
        sa.Column("pour_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("guest_id", sa.Uuid(), nullable=False),
        sa.Column("card_uid", sa.String(), nullable=False),
        sa.Column("venue_id", sa.String(), nullable=False),
        sa.Column("tap_path", sa.String(), nullable=False),
        sa.Column("keg_id", sa.Uuid(), nullable=False),
        sa.Column("beverage_id", sa.Uuid(), nullable=False),
        sa.Column("shift_id", sa.Uuid(), nullable=True),
        sa.Column("sync_status", sa.Text(), server_default="pending_sync", nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("journal_id", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("sell_price_per_liter_minor", sa.BigInteger(), nullable=False),
        sa.Column("max_volume_ml", sa.BigInteger(), nullable=False),
        sa.Column("hold_minor", sa.BigInteger(), nullable=False),
        sa.Column("volume_ml", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("loss_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("stock_ml", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reported", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("report_refused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("authorized_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_shift_id", sa.Uuid(), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.CheckConstraint("(sync_status = 'pending_sync') = (settled_at IS NULL)", name=op.f("ck_pours_terminal_has_time")),
        sa.CheckConstraint(
            "end_reason IN ('card_removed', 'limit', 'no_flow', 'max_duration', 'stopped', 'disabled', 'power_loss', 'never_started', 'fault')",
            name=op.f("ck_pours_end_reason_known"),
        ),
        sa.CheckConstraint(
            "stop_reason IN ('lost_card', 'operator', 'reconciled', 'force_unlocked', 'visit_closed')",
            name=op.f("ck_pours_stop_reason_known"),
        ),
        sa.CheckConstraint(
            "sync_status <> 'pending_sync' OR (volume_ml = 0 AND amount_minor = 0)", name=op.f("ck_pours_pending_is_empty")
        ),
        sa.CheckConstraint(
            "sync_status IN ('pending_sync', 'synced', 'reconciled', 'rejected', 'voided')", name=op.f("ck_pours_sync_status_known")
        ),
        sa.CheckConstraint("sell_price_per_liter_minor >= 1", name=op.f("ck_pours_price_positive")),
        sa.CheckConstraint("volume_ml >= 0 AND amount_minor >= 0 AND hold_minor >= 0", name=op.f("ck_pours_not_negative")),
        sa.ForeignKeyConstraint(["beverage_id"], ["beverages.beverage_id"], name=op.f("fk_pours_beverage_id")),
        sa.ForeignKeyConstraint(["card_uid"], ["cards.card_uid"], name=op.f("fk_pours_card_uid")),
        sa.ForeignKeyConstraint(["guest_id"], ["guests.guest_id"], name=op.f("fk_pours_guest_id")),
        sa.ForeignKeyConstraint(["keg_id"], ["kegs.keg_id"], name=op.f("fk_pours_keg_id")),
        sa.ForeignKeyConstraint(["settled_shift_id"], ["shifts.shift_id"], name=op.f("fk_pours_settled_shift_id")),
        sa.ForeignKeyConstraint(["shift_id"], ["shifts.shift_id"], name=op.f("fk_pours_shift_id")),
        sa.ForeignKeyConstraint(["tap_path"], ["taps.tap_path"], name=op.f("fk_pours_tap_path")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.venue_id"], name=op.f("fk_pours_venue_id")),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.visit_id"], name=op.f("fk_pours_visit_id")),
        sa.PrimaryKeyConstraint("pour_id", name=op.f("pk_pours")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_pours_authorized", "pours", ["authorized_at", "pour_id"], unique=False)
    op.create_index("ix_pours_guest_holds", "pours", ["guest_id"], unique=False, postgresql_where="sync_status = 'pending_sync'")
    op.create_index(op.f("ix_pours_guest_id"), "pours", ["guest_id"], unique=False)
    op.create_index(op.f("ix_pours_keg_id"), "pours", ["keg_id"], unique=False)
    op.create_index(op.f("ix_pours_settled_shift_id"), "pours", ["settled_shift_id"], unique=False)
    op.create_index("ix_pours_tap", "pours", ["tap_path", "authorized_at"], unique=False)
    op.create_index("ix_pours_venue", "pours", ["venue_id", "authorized_at"], unique=False)
    op.create_index("ix_pours_visit", "pours", ["visit_id", "authorized_at"], unique=False)
    op.create_index("uq_pours_tap_lease", "pours", ["tap_path"], unique=True, postgresql_where="sync_status = 'pending_sync'")
    op.create_index("uq_pours_visit_lease", "pours", ["visit_id"], unique=True, postgresql_where="sync_status = 'pending_sync'")
    op.create_table(
        "stock_movements",
        sa.Column("movement_id", sa.BigInteger(), nullable=False),
        sa.Column("keg_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("volume_ml", sa.BigInteger(), nullable=False),
        sa.Column("venue_id", sa.String(), nullable=False),
        sa.Column("tap_path", sa.String(), nullable=True),
        sa.Column("shift_id", sa.Uuid(), nullable=True),
        sa.Column("cause_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('sale', 'overpour', 'unattributed', 'correction', 'line_cleaning')",
            name=op.f("ck_stock_movements_kind_known"),
        ),
        sa.CheckConstraint("volume_ml <> 0", name=op.f("ck_stock_movements_volume_moves")),
        sa.ForeignKeyConstraint(["keg_id"], ["kegs.keg_id"], name=op.f("fk_stock_movements_keg_id")),
        sa.ForeignKeyConstraint(["shift_id"], ["shifts.shift_id"], name=op.f("fk_stock_movements_shift_id")),
        sa.ForeignKeyConstraint(["tap_path"], ["taps.tap_path"], name=op.f("fk_stock_movements_tap_path")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.venue_id"], name=op.f("fk_stock_movements_venue_id")),
        sa.PrimaryKeyConstraint("movement_id", name=op.f("pk_stock_movements")),
    )
    op.create_index("ix_stock_movements_cause", "stock_movements", ["cause_id"], unique=False)
    op.create_index("ix_stock_movements_keg", "stock_movements", ["keg_id", "movement_id"], unique=False)
    op.create_index("ix_stock_movements_shift", "stock_movements", ["shift_id"], unique=False)
    op.create_table(
        "tap_journals",
        sa.Column("tap_path", sa.String(), nullable=False),
        sa.Column("journal_id", sa.Uuid(), nullable=False),
        sa.Column("highest_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("odometer_first_ml", sa.BigInteger(), nullable=True),
        sa.Column("odometer_covered_ml", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tap_path"], ["taps.tap_path"], name=op.f("fk_tap_journals_tap_path")),
        sa.PrimaryKeyConstraint("tap_path", "journal_id", name=op.f("pk_tap_journals")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "authorization_answers",
        sa.Column("tap_path", sa.String(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("pour_id", sa.Uuid(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["pour_id"], ["pours.pour_id"], name=op.f("fk_authorization_answers_pour_id")),
        sa.PrimaryKeyConstraint("tap_path", "event_id", name=op.f("pk_authorization_answers")),
    )
    op.create_table(
        "money_movements",
        sa.Column("movement_id", sa.BigInteger(), nullable=False),
        sa.Column("debit_account", sa.Text(), nullable=False),
        sa.Column("credit_account", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("guest_id", sa.Uuid(), nullable=True),
        sa.Column("venue_id", sa.String(), nullable=True),
        sa.Column("shift_id", sa.Uuid(), nullable=True),
        sa.Column("pour_id", sa.Uuid(), nullable=True),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(debit_account <> 'guest' AND credit_account <> 'guest') OR guest_id IS NOT NULL",
            name=op.f("ck_money_movements_guest_account_has_guest"),
        ),
        sa.CheckConstraint(
            "credit_account IN ('guest', 'cash', 'card', 'sales', 'overpour_loss', 'adjustment')",
            name=op.f("ck_money_movements_credit_account_known"),
        ),
        sa.CheckConstraint(
            "debit_account IN ('guest', 'cash', 'card', 'sales', 'overpour_loss', 'adjustment')",
            name=op.f("ck_money_movements_debit_account_known"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_money_movements_amount_positive")),
        sa.CheckConstraint("debit_account <> credit_account", name=op.f("ck_money_movements_two_sides")),
        sa.ForeignKeyConstraint(["guest_id"], ["guests.guest_id"], name=op.f("fk_money_movements_guest_id")),
        sa.ForeignKeyConstraint(["pour_id"], ["pours.pour_id"], name=op.f("fk_money_movements_pour_id")),
        sa.ForeignKeyConstraint(["shift_id"], ["shifts.shift_id"], name=op.f("fk_money_movements_shift_id")),
        sa.ForeignKeyConstraint(["venue_id"], ["venues.venue_id"], name=op.f("fk_money_movements_venue_id")),
        sa.PrimaryKeyConstraint("movement_id", name=op.f("pk_money_movements")),
    )
    op.create_index("ix_money_movements_guest", "money_movements", ["guest_id", "movement_id"], unique=False)
    op.create_index("ix_money_movements_pour", "money_movements", ["pour_id"], unique=False, postgresql_where="pour_id IS NOT NULL")
    op.create_index("ix_money_movements_shift", "money_movements", ["shift_id"], unique=False)


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_index("ix_money_movements_shift", table_name="money_movements")
    op.drop_index("ix_money_movements_pour", table_name="money_movements", postgresql_where="pour_id IS NOT NULL")
    op.drop_index("ix_money_movements_guest", table_name="money_movements")
    op.drop_table("money_movements")
    op.drop_table("authorization_answers")
    op.drop_table("tap_journals")
    op.drop_index("ix_stock_movements_shift", table_name="stock_movements")
    op.drop_index("ix_stock_movements_keg", table_name="stock_movements")
    op.drop_index("ix_stock_movements_cause", table_name="stock_movements")
    op.drop_table("stock_movements")
    op.drop_index("uq_pours_visit_lease", table_name="pours", postgresql_where="sync_status = 'pending_sync'")
    op.drop_index("uq_pours_tap_lease", table_name="pours", postgresql_where="sync_status = 'pending_sync'")
    op.drop_index("ix_pours_visit", table_name="pours")
    op.drop_index("ix_pours_venue", table_name="pours")
    op.drop_index("ix_pours_tap", table_name="pours")
    op.drop_index(op.f("ix_pours_settled_shift_id"), table_name="pours")
    op.drop_index(op.f("ix_pours_keg_id"), table_name="pours")
    op.drop_index(op.f("ix_pours_guest_id"), table_name="pours")
    op.drop_index("ix_pours_guest_holds", table_name="pours", postgresql_where="sync_status = 'pending_sync'")
    op.drop_index("ix_pours_authorized", table_name="pours")
    op.drop_table("pours")
    op.drop_index("uq_odometer_stretches_fact", table_name="odometer_stretches")
    op.drop_index("ix_odometer_stretches_to", table_name="odometer_stretches")
    op.drop_table("odometer_stretches")
    op.drop_table("flows")
    op.drop_index("uq_visits_one_active_per_guest", table_name="visits", postgresql_where="status = 'active'")
    op.drop_index(
        "uq_visits_one_active_per_card", table_name="visits", postgresql_where="status = 'active' AND card_uid IS NOT NULL"
    )
    op.drop_index("ix_visits_venue_active", table_name="visits", postgresql_where="status = 'active'")
    op.drop_index("ix_visits_opened", table_name="visits")
    op.drop_index(op.f("ix_visits_guest_id"), table_name="visits")
    op.drop_table("visits")
    op.drop_index("uq_taps_keg_id", table_name="taps", postgresql_where="keg_id IS NOT NULL")
    op.drop_index(op.f("ix_taps_venue_id"), table_name="taps")
    op.drop_table("taps")
    op.drop_index("uq_shifts_one_open_per_venue", table_name="shifts", postgresql_where="status = 'open'")
    op.drop_index(op.f("ix_shifts_venue_id"), table_name="shifts")
    op.drop_table("shifts")
    op.drop_index(op.f("ix_sessions_username"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_kegs_venue_id"), table_name="kegs")
    op.drop_index(op.f("ix_kegs_beverage_id"), table_name="kegs")
    op.drop_table("kegs")
    op.drop_index(op.f("ix_cards_guest_id"), table_name="cards")
    op.drop_table("cards")
    op.drop_table("venues")
    op.drop_table("users")
    op.drop_index("uq_pour_reports_same", table_name="pour_reports", postgresql_nulls_not_distinct=True)
    op.drop_table("pour_reports")
    op.drop_table("node_status")
    op.drop_index("uq_incidents_cause", table_name="incidents", postgresql_where="status <> 'resolved'")
    op.drop_index("ix_incidents_unresolved", table_name="incidents", postgresql_where="status <> 'resolved'")
    op.drop_index("ix_incidents_raised", table_name="incidents")
    op.drop_index("ix_incidents_pour", table_name="incidents", postgresql_where="pour_id IS NOT NULL")
    op.drop_table("incidents")
    op.drop_index("ix_idempotent_answers_created_at", table_name="idempotent_answers")
    op.drop_table("idempotent_answers")
    op.drop_index(op.f("ix_guests_phone"), table_name="guests")
    op.drop_index("ix_guests_created", table_name="guests")
    op.drop_table("guests")
    op.drop_table("devices")
    op.drop_index("uq_dead_letters_same", table_name="dead_letters")
    op.drop_table("dead_letters")
    op.drop_table("command_outbox")
    op.drop_table("beverages")
    op.drop_index("ix_audit_subjects", table_name="audit", postgresql_using="gin")
    op.drop_index("ix_audit_created_at", table_name="audit", postgresql_using="brin")
    op.drop_index("ix_audit_action", table_name="audit")
    op.drop_table("audit")
