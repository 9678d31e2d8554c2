"""The heartbeat of backups that are taken in time."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE program_heartbeats DROP CONSTRAINT ck_program_heartbeats_program_known")
    op.execute("""
        ALTER TABLE program_heartbeats ADD CONSTRAINT ck_program_heartbeats_program_known
            CHECK (program IN ('core', 'sync-broker', 'backup', 'recent-backup'))
    """)
