"""Serving limits and ages: a venue's limit, a visit's patrons, and what of a pour counts."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision; a pour of before has no known strength, and no re-arm before it."""
    op.execute("""
        ALTER TABLE venues
            ADD COLUMN serving_limit_measure text,
            ADD COLUMN serving_limit bigint,
            ADD COLUMN serving_limit_window_minutes bigint,
            ADD COLUMN minors_allowed boolean NOT NULL DEFAULT false,
            ADD CONSTRAINT ck_venues_serving_limit_measure_known CHECK (serving_limit_measure IN ('volume', 'ethanol')),
            ADD CONSTRAINT ck_venues_serving_limit_whole CHECK (
                (serving_limit_measure IS NULL) = (serving_limit IS NULL)
                AND (serving_limit_window_minutes IS NULL OR serving_limit_measure IS NOT NULL)),
            ADD CONSTRAINT ck_venues_serving_limit_positive CHECK (serving_limit >= 1 AND serving_limit_window_minutes >= 1)
    """)
    op.execute("""
        ALTER TABLE beverages
            ADD COLUMN abv_hundredths bigint,
            ADD CONSTRAINT ck_beverages_abv_range CHECK (abv_hundredths BETWEEN 0 AND 10000)
    """)
    op.execute("UPDATE beverages SET abv_hundredths = abv * 100")
    # workers of the previous version read `abv`, as do views
    op.execute("ALTER TABLE beverages DROP COLUMN abv")
    op.execute("ALTER TABLE beverages ADD COLUMN abv numeric(5, 2) GENERATED ALWAYS AS (abv_hundredths / 100.0) STORED")
    op.execute("""
        ALTER TABLE pours
            ADD COLUMN abv_hundredths bigint,
            ADD COLUMN armed_at timestamptz NOT NULL DEFAULT '-infinity'
    """)
    # its own collation makes it the only index that finds what counts at a venue
    op.execute('CREATE INDEX ix_pours_served ON pours (guest_id, venue_id COLLATE "C", armed_at, authorized_at)')
    op.execute("DROP INDEX ix_pours_guest_id")
    op.execute("""
        ALTER TABLE visits
            ADD COLUMN patrons bigint NOT NULL DEFAULT 1,
            ADD COLUMN alcohol_allowed boolean NOT NULL DEFAULT true,
            ADD COLUMN rearmed_at timestamptz,
            ADD CONSTRAINT ck_visits_patrons_sane CHECK (patrons BETWEEN 1 AND 20)
    """)
    op.execute("CREATE INDEX ix_visits_rearmed ON visits (guest_id, venue_id, rearmed_at) WHERE rearmed_at IS NOT NULL")
