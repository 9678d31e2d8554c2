"""webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INCIDENTS_BEFORE = "'missing_pending', 'late_mismatch', 'overpour', 'rejected_insufficient_funds', 'invalid_report', 'odometer_mismatch', 'odometer_rewound', 'volume_gap', 'keg_overdrawn', 'unattributed_flow', 'journal_lost', 'sync_timeout', 'dead_letter'"


def upgrade() -> None:
    """Go to this revision."""
    _know_incidents(f"{INCIDENTS_BEFORE}, 'webhook_failing'")
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("event_types", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("off_reason", sa.Text(), nullable=True),
        sa.Column("active_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replay_after", sa.BigInteger(), nullable=True),
        sa.Column("replay_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("off_reason IN ('by_hand', 'failing', 'gone', 'restored')", name=op.f("ck_webhooks_off_reason_known")),
        sa.CheckConstraint("enabled = (off_reason IS NULL)", name=op.f("ck_webhooks_off_for_a_reason")),
        sa.CheckConstraint("(old_secret IS NULL) = (old_secret_until IS NULL)", name=op.f("ck_webhooks_old_secret_ends")),
        sa.CheckConstraint("(failures = 0) = (failing_since IS NULL)", name=op.f("ck_webhooks_failing_since_a_time")),
        sa.CheckConstraint("(replay_after IS NULL) = (replay_until IS NULL)", name=op.f("ck_webhooks_replay_has_two_ends")),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "webhook_cursor",
        sa.Column("one", sa.Integer(), autoincrement=False, server_default="1", nullable=False),
        sa.Column("audit_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_webhook_cursor_only_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_webhook_cursor")),
    )
    op.create_table(
        "webhook_events",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.BigInteger(), nullable=True),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_webhook_events")),
    )
    op.create_index("ix_webhook_events_created_at", "webhook_events", ["created_at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), server_default="event", nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer_status", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status_known")),
        sa.CheckConstraint("cause IN ('event', 'replay', 'test')", name=op.f("ck_webhook_deliveries_cause_known")),
        sa.CheckConstraint(
            "(status = 'delivered') = (delivered_at IS NOT NULL)", name=op.f("ck_webhook_deliveries_delivered_has_time")
        ),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.webhook_id"], name=op.f("fk_webhook_deliveries_webhook_id")),
        sa.ForeignKeyConstraint(["event_id"], ["webhook_events.event_id"], name=op.f("fk_webhook_deliveries_event_id")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_webhook_deliveries")),
    )
    is_pending = sa.text("status = 'pending'")
    is_test = sa.text("status = 'pending' AND cause = 'test'")
    op.create_index("ix_webhook_deliveries_due", "webhook_deliveries", ["webhook_id", "due_at"], postgresql_where=is_pending)
    op.create_index("ix_webhook_deliveries_tests", "webhook_deliveries", ["due_at"], postgresql_where=is_test)
    op.create_index("ix_webhook_deliveries_made", "webhook_deliveries", ["webhook_id", "created_at", "delivery_id"])
    op.create_index("ix_webhook_deliveries_event", "webhook_deliveries", ["event_id"])
    op.create_index("ix_webhook_deliveries_created_at", "webhook_deliveries", ["created_at"])


def downgrade() -> None:
    """Go back to the revision before."""
    for table in ("webhook_deliveries", "webhook_events", "webhook_cursor", "webhooks"):
        op.drop_table(table)
    op.execute("DELETE FROM incidents WHERE kind = 'webhook_failing'")
    _know_incidents(INCIDENTS_BEFORE)


def _know_incidents(kinds: str) -> None:
    op.drop_constraint(op.f("ck_incidents_kind_known"), "incidents")
    op.create_check_constraint(op.f("ck_incidents_kind_known"), "incidents", f"kind IN ({kinds})")
