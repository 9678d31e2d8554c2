"""Budgets of incidents and dead letters for each device, and the incident of one that exceeds them."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KINDS = (
    "'missing_pending', 'late_mismatch', 'overpour', 'rejected_insufficient_funds', 'invalid_report', 'odometer_mismatch', "
    "'odometer_rewound', 'volume_gap', 'keg_overdrawn', 'unattributed_flow', 'journal_lost', 'sync_timeout', 'dead_letter', "
    "'webhook_failing', 'program_missing', 'device_misbehaving'"
)


def upgrade() -> None:
    """Go to this revision."""
    op.execute("ALTER TABLE incidents DROP CONSTRAINT ck_incidents_kind_known")
    op.execute(f"ALTER TABLE incidents ADD CONSTRAINT ck_incidents_kind_known CHECK (kind IN ({KINDS}))")
    op.execute("CREATE INDEX ix_incidents_tap ON incidents (tap_path, raised_at) WHERE tap_path IS NOT NULL")
    op.execute("ALTER TABLE dead_letters ADD COLUMN device text")
    op.execute("CREATE INDEX ix_dead_letters_device ON dead_letters ((coalesce(device, '')), received_at)")
