"""A decision that is made alone need not wait for a row for ever either."""

from pathlib import Path

from alembic import op

from tapwire_core.db.migrations.functions import functions_of

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    for statement in functions_of(__file__):
        op.execute(statement)


def downgrade() -> None:
    """Go back to the revision before."""
    for statement in functions_of(str(Path(__file__).with_name("0006_decisions_as_sets.py"))):
        if "FUNCTION lock_together" in statement:
            op.execute(statement)
