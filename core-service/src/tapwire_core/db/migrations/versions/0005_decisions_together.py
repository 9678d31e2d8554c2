"""Several decisions in one transaction."""

from alembic import op

from tapwire_core.db.migrations.functions import functions_of

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    for statement in functions_of(__file__):
        op.execute(statement)


def downgrade() -> None:
    """Go back to the revision before."""
    for signature in ("apply_together(jsonb)", "lock_together(jsonb, integer)", "lock_rows(text[], text[], uuid[])"):
        op.execute(f"DROP FUNCTION {signature}")
