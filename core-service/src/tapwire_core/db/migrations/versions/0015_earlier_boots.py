"""The boots that a device had before its latest one, so that an older boot's late state changes nothing."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a device's earlier boots are known from now on."""
    op.execute("ALTER TABLE node_status ADD COLUMN earlier_boots jsonb NOT NULL DEFAULT '{}'::jsonb")
