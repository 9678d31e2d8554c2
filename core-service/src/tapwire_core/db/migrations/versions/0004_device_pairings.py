"""device pairings."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "device_pairings",
        sa.Column("claim_hash", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("accepted_by", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(path IS NULL) = (accepted_by IS NULL)", name=op.f("ck_device_pairings_accepted_by_somebody")),
        sa.CheckConstraint("claimed_at IS NULL OR path IS NOT NULL", name=op.f("ck_device_pairings_claimed_when_accepted")),
        sa.PrimaryKeyConstraint("claim_hash", name=op.f("pk_device_pairings")),
        sa.UniqueConstraint("code", name=op.f("uq_device_pairings_code")),
    )


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_table("device_pairings")
