"""A decision waits for a row no longer while it writes than while it reads; what an incident gathers is worth its sum; a pour that a
restored database may have missed the report of says so in a column of its own, as nothing is known of what was reported.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from tapwire_core.db.migrations.functions import change_function

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WAITS: Final = """
    IF is_bounded THEN
        PERFORM set_config('lock_timeout', '0', true);
    END IF;
"""
VOLUME: Final = """jsonb_build_object('volume_ml',
                (incident.details->>'volume_ml')::bigint + (excluded.details->>'volume_ml')::bigint)"""
VOLUME_AND_WORTH: Final = """jsonb_build_object(
                'volume_ml', (incident.details->>'volume_ml')::bigint + (excluded.details->>'volume_ml')::bigint,
                -- not known where the worth of one part is not
                'value_minor', (incident.details->>'value_minor')::bigint + (excluded.details->>'value_minor')::bigint)"""
OTHERWISE: Final = (
    ("lock_together(jsonb, integer)", WAITS, "\n"),
    ("apply_together(jsonb)", VOLUME, VOLUME_AND_WORTH),
    ("question_facts(jsonb)", "OR pending.report_refused OR", "OR pending.report_refused OR pending.report_may_have_come OR"),
)
"""What differs in each function."""


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("pours", sa.Column("report_may_have_come", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    for function, before, after in OTHERWISE:
        change_function(function, before, after)


def downgrade() -> None:
    """Go back to the revision before."""
    for function, before, after in OTHERWISE[1:]:
        change_function(function, after, before)
    end = "\n    IF asked_pours = '{}' THEN"
    change_function("lock_together(jsonb, integer)", end, WAITS.rstrip("\n") + end)
    op.drop_column("pours", "report_may_have_come")
