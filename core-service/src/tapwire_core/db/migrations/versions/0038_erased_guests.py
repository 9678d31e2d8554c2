"""Erased guests, and kept answers without names."""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_NAMELESS = "first_name IS NULL AND last_name IS NULL AND phone IS NULL AND birth_date IS NULL"
_PERSONAL = "first_name|last_name|shown_name|guest_name|guest_first_name|pending_guest_name|phone|birth_date"


def upgrade() -> None:
    """Go to this revision."""
    op.execute(f"""
        ALTER TABLE guests
            ADD COLUMN erased_at timestamptz,
            ADD COLUMN erasure_due_at timestamptz,
            ADD CONSTRAINT ck_guests_erased_is_nobody CHECK (
                (erased_at IS NULL AND erasure_due_at IS NULL) OR ({_NAMELESS}))
    """)
    op.execute("CREATE INDEX ix_guests_erased ON guests (erased_at) WHERE erased_at IS NOT NULL")
    op.execute("CREATE INDEX ix_guests_erasure_due ON guests (guest_id) WHERE erasure_due_at IS NOT NULL")
    # answers to guests' requests were kept whole; sealed ones are no JSON, and hold secrets of devices, webhooks and users alone
    op.execute(rf"""
        UPDATE idempotent_answers
        SET answer = regexp_replace(answer, '"({_PERSONAL})":"(\\.|[^"\\])*"', '"\1":' || 'null', 'g')
        WHERE status_code IS NOT NULL AND scope ~ '/(guests|visits|cards|incidents)([/ ]|$)'
    """)  # noqa: S608  our own names
