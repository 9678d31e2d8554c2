"""An index of pours by their end, for reports of a day among millions: a range of blocks has a range of times."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.execute("CREATE INDEX ix_pours_settled_at ON pours USING brin (settled_at)")
