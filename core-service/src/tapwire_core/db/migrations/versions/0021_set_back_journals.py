"""What proves that a node's journal was set back, and that two nodes use one login."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

KINDS = (
    "'missing_pending', 'late_mismatch', 'overpour', 'rejected_insufficient_funds', 'invalid_report', 'odometer_mismatch', "
    "'odometer_rewound', 'volume_gap', 'keg_overdrawn', 'unattributed_flow', 'journal_lost', 'sync_timeout', 'dead_letter', "
    "'webhook_failing', 'program_missing', 'device_misbehaving', 'journal_set_back', 'identity_conflict'"
)


def upgrade() -> None:
    """Go to this revision; what was decided before it proves nothing."""
    op.execute("""
        ALTER TABLE tap_journals
            ADD COLUMN highest_boot_id uuid,
            ADD COLUMN set_back_boots jsonb NOT NULL DEFAULT '[]'::jsonb,
            ADD COLUMN suspect_boot_id uuid,
            ADD COLUMN suspect_revision bigint
    """)
    op.execute("ALTER TABLE odometer_stretches ADD COLUMN boot_id uuid")
    op.execute("ALTER TABLE pours ADD COLUMN boot_id uuid, ADD COLUMN odometer_seen_ml bigint")
    op.execute("ALTER TABLE authorization_answers ADD COLUMN journal_id uuid, ADD COLUMN seq bigint")
    op.execute("CREATE INDEX ix_authorization_answers_seq ON authorization_answers (tap_path, journal_id, seq)")
    op.execute("ALTER TABLE node_status ADD COLUMN claims jsonb")
    op.execute("ALTER TABLE taps ADD COLUMN identity_conflict_at timestamptz")
    op.execute("ALTER TABLE incidents DROP CONSTRAINT ck_incidents_kind_known")
    op.execute(f"ALTER TABLE incidents ADD CONSTRAINT ck_incidents_kind_known CHECK (kind IN ({KINDS}))")
