"""Guests' own pages: a sealed token for each visit, and the key that seals them."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. Visits of before have no page until one is asked for."""
    op.execute("""
        CREATE TABLE guest_pages (
            visit_id uuid NOT NULL CONSTRAINT pk_guest_pages PRIMARY KEY CONSTRAINT fk_guest_pages_visit_id REFERENCES visits,
            token_hash bytea CONSTRAINT uq_guest_pages_token_hash UNIQUE,
            sealed_token text,
            made_at timestamptz NOT NULL DEFAULT now(),
            ended_at timestamptz,
            CONSTRAINT ck_guest_pages_ended_has_no_token CHECK ((token_hash IS NULL) = (ended_at IS NOT NULL)),
            CONSTRAINT ck_guest_pages_token_is_sealed CHECK ((token_hash IS NULL) = (sealed_token IS NULL))
        )
    """)
    op.execute("""
        CREATE TABLE guest_page_key (
            one integer NOT NULL DEFAULT 1 CONSTRAINT pk_guest_page_key PRIMARY KEY,
            random_bytes bytea NOT NULL
                DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
            CONSTRAINT ck_guest_page_key_only_row CHECK (one = 1)
        )
    """)
