"""A decision that is made alone need not wait for a row for ever either, and finds pending pours and visits by one index alone.

What is pending at a tap was at times looked for among all pours of the tap, a card's visit among all visits of the venue, and the
incidents that a pour's end resolves among all that name a pour: where a table is small the planner takes any index for as good, and
keeps its plan while the table grows.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from tapwire_core.db.migrations.functions import change_functions, change_functions_back

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

LOCK: Final = "lock_together(jsonb, integer)"
APPLY: Final = "apply_together(jsonb)"
READ: Final = "    IF asked_pours = '{}' THEN\n"
CHANGES: Final = (
    (LOCK, "DECLARE\n    several constant boolean := jsonb_array_length(asked) > 1;\n", "DECLARE\n"),
    (
        LOCK,
        "IF several THEN\n        PERFORM set_config('lock_timeout', wait_ms",
        "IF wait_ms > 0 THEN\n        PERFORM set_config('lock_timeout', wait_ms",
    ),
    # what is written may wait for a row as well
    (LOCK, "    IF several THEN\n        PERFORM set_config('lock_timeout', '0', true);\n    END IF;\n" + READ, READ),
    # by the card, of which there is one: the index of a venue's visits would be read as a whole
    ("question_facts(jsonb)", "visit.venue_id = tap.venue_id", "visit.venue_id || '' = tap.venue_id"),
)


def upgrade() -> None:
    """Go to this revision."""
    op.drop_index("ix_pours_tap", table_name="pours")
    op.create_index("ix_pours_tap", "pours", [sa.text('tap_path COLLATE "C"'), "authorized_at"])
    op.create_index(
        "ix_incidents_ended_by_pour",
        "incidents",
        ["pour_id"],
        postgresql_where="status <> 'resolved' AND kind IN ('sync_timeout', 'journal_lost')",
    )
    # statistics that met no pending pour say that there are none, so that to read all of them, dead ones too, costs nothing
    op.execute("ALTER TABLE pours ALTER COLUMN sync_status SET STATISTICS 0")
    change_functions(CHANGES)
    # a bitmap scan leaves dead entries in the index as they are, and reads them again each time
    for function in (LOCK, APPLY):
        op.execute(f"ALTER FUNCTION {function} SET enable_bitmapscan = off")


def downgrade() -> None:
    """Go back to the revision before."""
    for function in (LOCK, APPLY):
        op.execute(f"ALTER FUNCTION {function} RESET enable_bitmapscan")
    op.execute("ALTER TABLE pours ALTER COLUMN sync_status SET STATISTICS -1")
    op.drop_index("ix_incidents_ended_by_pour", table_name="incidents")
    change_functions_back(CHANGES)
    op.drop_index("ix_pours_tap", table_name="pours")
    op.create_index("ix_pours_tap", "pours", ["tap_path", "authorized_at"])
