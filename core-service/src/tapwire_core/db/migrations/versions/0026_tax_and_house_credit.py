"""Tax of beverages, guests' house credit, reversals of top-ups, guests without a name, and the limit of operators' refunds."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision; no guest has house credit, and no pour of before has a stated tax."""
    for table in ("beverages", "pours"):
        op.execute(f"""
            ALTER TABLE {table} ADD COLUMN tax_rate_bp bigint
                CONSTRAINT ck_{table}_tax_rate_range CHECK (tax_rate_bp BETWEEN 0 AND 10000)
        """)
    op.execute("""
        ALTER TABLE guests
            ALTER COLUMN first_name DROP NOT NULL,
            ADD COLUMN house_credit_minor bigint NOT NULL DEFAULT 0
                CONSTRAINT ck_guests_house_credit_not_negative CHECK (house_credit_minor >= 0)
    """)
    for side in ("debit_account", "credit_account"):
        op.execute(f"""
            ALTER TABLE money_movements
                DROP CONSTRAINT ck_money_movements_{side}_known,
                ADD CONSTRAINT ck_money_movements_{side}_known CHECK (
                    {side} IN ('guest', 'cash', 'card', 'sales', 'overpour_loss', 'adjustment', 'comp'))
        """)
    op.execute("""
        ALTER TABLE money_movements
            ADD COLUMN house_credit_minor bigint NOT NULL DEFAULT 0,
            ADD COLUMN reverses_movement_id bigint
                CONSTRAINT fk_money_movements_reverses_movement_id REFERENCES money_movements,
            ADD CONSTRAINT ck_money_movements_house_credit_within CHECK (abs(house_credit_minor) <= amount_minor)
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_money_movements_reversed ON money_movements (reverses_movement_id)
            WHERE reverses_movement_id IS NOT NULL
    """)
    op.execute("""
        ALTER TABLE venues ADD COLUMN operator_refund_limit_minor bigint NOT NULL DEFAULT 0
            CONSTRAINT ck_venues_refund_limit_not_negative CHECK (operator_refund_limit_minor >= 0)
    """)
