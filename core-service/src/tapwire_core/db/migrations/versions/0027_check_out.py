"""The counter: how long a visit lasts, deposits on cards, check-outs, and the movements that a receipt is of."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_ACCOUNTS = "'guest', 'cash', 'card', 'sales', 'overpour_loss', 'adjustment', 'comp', 'deposit', 'deposit_forfeited'"


def upgrade() -> None:
    """Go to this revision; open visits last until they are closed, and cards have no deposit."""
    op.execute("""
        ALTER TABLE venues
            ADD COLUMN visit_hours bigint,
            ADD COLUMN card_deposit_minor bigint NOT NULL DEFAULT 0,
            ADD CONSTRAINT ck_venues_visit_hours_sane CHECK (visit_hours BETWEEN 1 AND 8760),
            ADD CONSTRAINT ck_venues_card_deposit_sane CHECK (card_deposit_minor BETWEEN 0 AND 100000000)
    """)
    op.execute("""
        ALTER TABLE cards
            ADD COLUMN deposit_minor bigint NOT NULL DEFAULT 0,
            ADD COLUMN deposit_venue_id varchar CONSTRAINT fk_cards_deposit_venue_id REFERENCES venues (venue_id),
            ADD CONSTRAINT ck_cards_deposit_not_negative CHECK (deposit_minor >= 0),
            ADD CONSTRAINT ck_cards_deposit_has_venue CHECK ((deposit_minor > 0) = (deposit_venue_id IS NOT NULL)),
            ADD CONSTRAINT ck_cards_deposit_has_guest CHECK (deposit_minor = 0 OR guest_id IS NOT NULL)
    """)
    op.execute("CREATE INDEX ix_cards_deposit_venue ON cards (deposit_venue_id) WHERE deposit_venue_id IS NOT NULL")
    op.execute("""
        ALTER TABLE visits
            ADD COLUMN valid_until timestamptz,
            ADD COLUMN opened_after_movement bigint,
            ADD COLUMN closed_after_movement bigint
    """)
    op.execute("""
        CREATE TABLE check_outs (
            visit_id uuid NOT NULL
                CONSTRAINT pk_check_outs PRIMARY KEY
                CONSTRAINT fk_check_outs_visit_id REFERENCES visits (visit_id),
            payout_method text,
            card_returned boolean NOT NULL,
            despite_incidents boolean NOT NULL,
            reason text,
            paid_out_minor bigint NOT NULL,
            checked_out_at timestamptz NOT NULL DEFAULT now(),
            checked_out_by text NOT NULL,
            CONSTRAINT ck_check_outs_payout_method_known CHECK (payout_method IN ('cash', 'card')),
            CONSTRAINT ck_check_outs_paid_out_by_a_method CHECK (
                paid_out_minor >= 0 AND (paid_out_minor = 0 OR payout_method IS NOT NULL))
        )
    """)
    for side in ("debit", "credit"):
        op.execute(f"ALTER TABLE money_movements DROP CONSTRAINT ck_money_movements_{side}_account_known")
        op.execute(f"""
            ALTER TABLE money_movements ADD CONSTRAINT ck_money_movements_{side}_account_known
                CHECK ({side}_account IN ({_ACCOUNTS})) NOT VALID
        """)
        op.execute(f"ALTER TABLE money_movements VALIDATE CONSTRAINT ck_money_movements_{side}_account_known")
