"""The venues of a user, the venue of an audit entry, and the schema of what a user of some venues reads."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. Users see all venues; earlier audit entries are of no venue, so that users of some do not see them."""
    op.execute("""
        ALTER TABLE users ADD COLUMN venues text[]
            CONSTRAINT ck_users_venues_named CHECK (cardinality(venues) > 0)
    """)
    op.execute("ALTER TABLE audit ADD COLUMN venue_id text")
    op.execute("CREATE INDEX ix_audit_venue ON audit (venue_id, audit_id) WHERE venue_id IS NOT NULL")
    op.execute("CREATE SCHEMA of_venues")
