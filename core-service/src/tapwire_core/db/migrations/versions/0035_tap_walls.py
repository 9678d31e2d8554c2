"""The room of a tap, and what the tap wall remembers for each user and venue."""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.execute("ALTER TABLE taps ADD COLUMN room text")
    op.execute("""
        CREATE TABLE tap_walls (
            username varchar NOT NULL CONSTRAINT fk_tap_walls_username REFERENCES users,
            venue_id varchar NOT NULL CONSTRAINT fk_tap_walls_venue_id REFERENCES venues,
            sort_by text NOT NULL DEFAULT 'number',
            tap_ids text[] NOT NULL DEFAULT '{}',
            by_room boolean NOT NULL DEFAULT false,
            needs_something boolean NOT NULL DEFAULT false,
            CONSTRAINT pk_tap_walls PRIMARY KEY (username, venue_id),
            CONSTRAINT ck_tap_walls_sort_by_known CHECK (sort_by IN ('number', 'own'))
        )
    """)
