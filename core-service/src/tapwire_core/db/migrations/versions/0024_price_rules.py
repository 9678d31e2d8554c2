"""Prices by time, the rule at which each pour was sold, and how a venue shows volumes and prices."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision; earlier pours were sold at the list price."""
    op.execute("""
        CREATE TABLE price_rules (
            price_rule_id uuid NOT NULL CONSTRAINT pk_price_rules PRIMARY KEY,
            venue_id varchar NOT NULL CONSTRAINT fk_price_rules_venue_id REFERENCES venues,
            name text NOT NULL,
            beverage_ids uuid[],
            weekdays smallint[] NOT NULL,
            from_time time NOT NULL,
            to_time time NOT NULL,
            valid_from date,
            valid_to date,
            sell_price_per_liter_minor bigint,
            percent_off bigint,
            deleted_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_price_rules_one_price CHECK (num_nonnulls(sell_price_per_liter_minor, percent_off) = 1),
            CONSTRAINT ck_price_rules_price_positive CHECK (sell_price_per_liter_minor >= 1),
            CONSTRAINT ck_price_rules_percent_off_sane CHECK (percent_off BETWEEN 1 AND 99),
            CONSTRAINT ck_price_rules_weekdays_known CHECK (cardinality(weekdays) > 0 AND weekdays <@ '{1,2,3,4,5,6,7}'),
            CONSTRAINT ck_price_rules_beverages_named CHECK (cardinality(beverage_ids) > 0),
            CONSTRAINT ck_price_rules_dates_in_order CHECK (valid_from <= valid_to)
        )
    """)
    op.execute("CREATE INDEX ix_price_rules_venue ON price_rules (venue_id) WHERE deleted_at IS NULL")
    op.execute("""
        ALTER TABLE pours ADD COLUMN price_rule_id uuid
            CONSTRAINT fk_pours_price_rule_id REFERENCES price_rules
    """)
    op.execute("ALTER TABLE taps ADD COLUMN price_shown text")
    op.execute("""
        ALTER TABLE venues
            ADD COLUMN glass_ml bigint NOT NULL DEFAULT 500
                CONSTRAINT ck_venues_glass_sane CHECK (glass_ml BETWEEN 1 AND 10000),
            ADD COLUMN volume_unit text NOT NULL DEFAULT 'ml'
                CONSTRAINT ck_venues_volume_unit_known CHECK (volume_unit IN ('ml', 'oz'))
    """)
