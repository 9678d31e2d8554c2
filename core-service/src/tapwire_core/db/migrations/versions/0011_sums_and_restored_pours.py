"""What an incident gathers is worth its sum; a pour that a restored database may have missed the report of says so in a column of its
own, as nothing is known of what was reported.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from tapwire_core.db.migrations.functions import change_functions, change_functions_back

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

VOLUME: Final = """jsonb_build_object('volume_ml',
                (incident.details->>'volume_ml')::bigint + (excluded.details->>'volume_ml')::bigint)"""
VOLUME_AND_WORTH: Final = """jsonb_build_object(
                'volume_ml', (incident.details->>'volume_ml')::bigint + (excluded.details->>'volume_ml')::bigint,
                -- not known where the worth of one part is not
                'value_minor', (incident.details->>'value_minor')::bigint + (excluded.details->>'value_minor')::bigint)"""
CHANGES: Final = (
    ("apply_together(jsonb)", VOLUME, VOLUME_AND_WORTH),
    ("question_facts(jsonb)", "OR pending.report_refused OR", "OR pending.report_refused OR pending.report_may_have_come OR"),
)


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("pours", sa.Column("report_may_have_come", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    change_functions(CHANGES)


def downgrade() -> None:
    """Go back to the revision before."""
    change_functions_back(CHANGES)
    op.drop_column("pours", "report_may_have_come")
