"""An index of movements by time, for reports of a day: rows are only added, so that a range of blocks has a range of times."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.execute("CREATE INDEX ix_money_movements_created_at ON money_movements USING brin (created_at)")
