"""Venues whose tap list everybody may read."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. No venue shows its list until `public_menu` is set."""
    op.execute("ALTER TABLE venues ADD COLUMN public_menu boolean NOT NULL DEFAULT false")
