"""Heartbeats of programs, and the incident of one that is missing."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE program_heartbeats (
    program varchar NOT NULL,
    instance varchar NOT NULL,
    interval_ms bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_program_heartbeats PRIMARY KEY (program, instance),
    CONSTRAINT ck_program_heartbeats_program_known CHECK (program IN ('core', 'sync-broker', 'backup'))
) WITH (fillfactor = 50)
"""
KINDS = (
    "'missing_pending', 'late_mismatch', 'overpour', 'rejected_insufficient_funds', 'invalid_report', 'odometer_mismatch', "
    "'odometer_rewound', 'volume_gap', 'keg_overdrawn', 'unattributed_flow', 'journal_lost', 'sync_timeout', 'dead_letter', "
    "'webhook_failing', 'program_missing'"
)


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("ALTER TABLE incidents DROP CONSTRAINT ck_incidents_kind_known")
    op.execute(f"ALTER TABLE incidents ADD CONSTRAINT ck_incidents_kind_known CHECK (kind IN ({KINDS}))")
