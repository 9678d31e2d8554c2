"""The index of what counts against a serving limit has its time as an expression, so that no index of times alone is taken.

The planner's statistics lag behind a re-arm: it took an index of `authorized_at` and read a whole evening of the venue.
"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.execute("DROP INDEX ix_pours_served")
    op.execute("""
        CREATE INDEX ix_pours_served ON pours (guest_id, venue_id COLLATE "C", armed_at, (authorized_at AT TIME ZONE 'UTC'))
    """)
