"""Payments by guests at a payment provider, what goes back of them, and the most that a balance may be topped up to."""

import re

import sqlalchemy
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

ACCOUNTS = ("online_payment", "payment_loss")
INCIDENTS = ("payment_reversed",)


def upgrade() -> None:
    """Go to this revision. Nobody can pay by telephone until a provider is set, and no balance has a limit."""
    op.execute("""
        ALTER TABLE venues
            ADD COLUMN max_balance_minor bigint,
            ADD CONSTRAINT ck_venues_max_balance_not_negative CHECK (max_balance_minor >= 0)
    """)
    op.execute("""
        CREATE TABLE payments (
            payment_id uuid NOT NULL CONSTRAINT pk_payments PRIMARY KEY,
            provider text NOT NULL,
            provider_id text,
            charge_id text,
            guest_id uuid NOT NULL CONSTRAINT fk_payments_guest_id REFERENCES guests,
            visit_id uuid NOT NULL CONSTRAINT fk_payments_visit_id REFERENCES visits,
            venue_id varchar NOT NULL CONSTRAINT fk_payments_venue_id REFERENCES venues,
            amount_minor bigint NOT NULL,
            booked_minor bigint NOT NULL DEFAULT 0,
            status text NOT NULL DEFAULT 'pending',
            checkout_url text,
            ask_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            paid_at timestamptz,
            ended_at timestamptz,
            CONSTRAINT ck_payments_provider_known CHECK (provider IN ('stripe', 'test')),
            CONSTRAINT ck_payments_status_known CHECK (status IN ('pending', 'paid', 'expired', 'reversed', 'refunded')),
            CONSTRAINT ck_payments_amount_positive CHECK (amount_minor > 0),
            CONSTRAINT ck_payments_booked_within CHECK (booked_minor BETWEEN 0 AND amount_minor),
            CONSTRAINT ck_payments_paid_at_when_paid CHECK ((paid_at IS NULL) = (status IN ('pending', 'expired'))),
            CONSTRAINT ck_payments_only_paid_is_booked CHECK (paid_at IS NOT NULL OR booked_minor = 0)
        )
    """)
    op.execute("CREATE UNIQUE INDEX uq_payments_provider_id ON payments (provider, provider_id) WHERE provider_id IS NOT NULL")
    op.execute("CREATE UNIQUE INDEX uq_payments_charge_id ON payments (provider, charge_id) WHERE charge_id IS NOT NULL")
    op.execute("CREATE INDEX ix_payments_created ON payments (created_at, payment_id)")
    op.execute("CREATE INDEX ix_payments_guest ON payments (guest_id, created_at)")
    op.execute("CREATE INDEX ix_payments_ask ON payments (ask_at) WHERE ask_at IS NOT NULL")
    op.execute("""
        CREATE TABLE payment_returns (
            return_id uuid NOT NULL CONSTRAINT pk_payment_returns PRIMARY KEY,
            payment_id uuid NOT NULL CONSTRAINT fk_payment_returns_payment_id REFERENCES payments,
            venue_id varchar NOT NULL CONSTRAINT fk_payment_returns_venue_id REFERENCES venues,
            cause text NOT NULL,
            provider_id text,
            amount_minor bigint NOT NULL,
            status text NOT NULL,
            attempts bigint NOT NULL DEFAULT 0,
            try_at timestamptz,
            failure text,
            created_at timestamptz NOT NULL DEFAULT now(),
            ended_at timestamptz,
            CONSTRAINT ck_payment_returns_cause_known CHECK (cause IN (
                'dispute', 'refund', 'over_limit', 'guest_blocked', 'guest_erased', 'check_out')),
            CONSTRAINT ck_payment_returns_status_known CHECK (status IN ('due', 'done', 'failed', 'won')),
            CONSTRAINT ck_payment_returns_amount_positive CHECK (amount_minor > 0),
            CONSTRAINT ck_payment_returns_due_is_tried CHECK ((try_at IS NOT NULL) = (status = 'due'))
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_payment_returns_provider_id ON payment_returns (payment_id, provider_id)
            WHERE provider_id IS NOT NULL
    """)
    op.execute("CREATE INDEX ix_payment_returns_payment ON payment_returns (payment_id)")
    op.execute("CREATE INDEX ix_payment_returns_try ON payment_returns (try_at) WHERE try_at IS NOT NULL")
    op.execute("""
        CREATE TABLE simulated_checkouts (
            provider_id varchar NOT NULL CONSTRAINT pk_simulated_checkouts PRIMARY KEY,
            payment_id uuid NOT NULL,
            amount_minor bigint NOT NULL,
            state text NOT NULL,
            return_url text NOT NULL,
            secret text NOT NULL,
            ids jsonb NOT NULL DEFAULT '{}'::jsonb,
            returns jsonb NOT NULL DEFAULT '[]'::jsonb,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        ALTER TABLE money_movements
            ADD COLUMN payment_id uuid CONSTRAINT fk_money_movements_payment_id REFERENCES payments,
            ADD COLUMN payment_return_id uuid CONSTRAINT fk_money_movements_payment_return_id REFERENCES payment_returns
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_money_movements_payment ON money_movements (payment_id)
            WHERE payment_id IS NOT NULL AND payment_return_id IS NULL
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_money_movements_payment_return
            ON money_movements (payment_return_id, debit_account, credit_account) WHERE payment_return_id IS NOT NULL
    """)
    _widen("incidents", "kind", INCIDENTS)
    _widen("money_movements", "debit_account", ACCOUNTS)
    _widen("money_movements", "credit_account", ACCOUNTS)


def _widen(table: str, column: str, members: tuple[str, ...]) -> None:
    """Widen a closed set; the members of earlier revisions stay."""
    name = f"ck_{table}_{column}_known"
    asked = sqlalchemy.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
    known = re.findall(r"'(\w+)'", op.get_bind().execute(asked, {"name": name}).scalar_one())
    listed = ", ".join(f"'{member}'" for member in dict.fromkeys((*known, *members)))
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IN ({listed})) NOT VALID")
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
