"""Names of beverages since when: reports keep the name of the day."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.execute("""
        CREATE TABLE beverage_names (
            beverage_id uuid NOT NULL CONSTRAINT fk_beverage_names_beverage_id REFERENCES beverages,
            since timestamptz NOT NULL DEFAULT now(),
            name text NOT NULL,
            CONSTRAINT pk_beverage_names PRIMARY KEY (beverage_id, since)
        )
    """)
    op.execute("INSERT INTO beverage_names (beverage_id, since, name) SELECT beverage_id, created_at, name FROM beverages")
