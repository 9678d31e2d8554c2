"""When each core worker heard devices last: the workers that are there share the taps."""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. Workers of before write no time, and decide what they hear all the same."""
    op.execute("ALTER TABLE program_heartbeats ADD COLUMN listens_at timestamptz")
