"""The login for which all older connections of a device are closed, and the heartbeat of the program that closes them."""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. Nothing is to be closed: no broker asked before. Workers of before insert without the column."""
    op.execute("ALTER TABLE devices ADD COLUMN closed_hash text NOT NULL DEFAULT ''")
    op.execute("UPDATE devices SET closed_hash = CASE WHEN revoked_at IS NULL THEN broker_hash ELSE '' END")
    op.execute("ALTER TABLE program_heartbeats DROP CONSTRAINT ck_program_heartbeats_program_known")
    op.execute("""
        ALTER TABLE program_heartbeats ADD CONSTRAINT ck_program_heartbeats_program_known
            CHECK (program IN ('core', 'sync-broker', 'broker-logins', 'backup', 'recent-backup'))
    """)
