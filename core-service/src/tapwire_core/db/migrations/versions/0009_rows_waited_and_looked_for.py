"""A decision that is made alone need not wait for a row for ever either, and finds pending pours and visits by one index alone.

What is pending at a tap was at times looked for among all pours of the tap, a card's visit among all visits of the venue, and the
incidents that a pour's end resolves among all that name a pour: where a table is small the planner takes any index for as good, and
keeps its plan while the table grows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import op

from tapwire_core.db.migrations.functions import functions_of

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SETS: Final = str(Path(__file__).with_name("0006_decisions_as_sets.py"))
OTHERWISE: Final = {
    "FUNCTION lock_together": {"several": "is_bounded", "jsonb_array_length(asked) > 1": "wait_ms > 0"},
    # by the card, of which there is one: the index of a venue's visits would be read as a whole
    "FUNCTION question_facts": {"visit.venue_id = tap.venue_id": "visit.venue_id || '' = tap.venue_id"},
}
"""What differs in the functions of migration 0006."""


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
    for statement, changes in _functions():
        for before, after in changes.items():
            assert before in statement
            statement = statement.replace(before, after)
        op.execute(statement)
    # a bitmap scan leaves dead entries in the index as they are, and reads them again each time
    for function in ("lock_together(jsonb, integer)", "apply_together(jsonb)"):
        op.execute(f"ALTER FUNCTION {function} SET enable_bitmapscan = off")


def downgrade() -> None:
    """Go back to the revision before."""
    op.execute("ALTER FUNCTION apply_together(jsonb) RESET enable_bitmapscan")
    op.execute("ALTER TABLE pours ALTER COLUMN sync_status SET STATISTICS -1")
    op.drop_index("ix_incidents_ended_by_pour", table_name="incidents")
    for statement, _ in _functions():
        op.execute(statement)
    op.drop_index("ix_pours_tap", table_name="pours")
    op.create_index("ix_pours_tap", "pours", ["tap_path", "authorized_at"])


def _functions() -> Iterator[tuple[str, dict[str, str]]]:
    """The functions as migration 0006 has them, and what differs in each."""
    for statement in functions_of(SETS):
        for name, changes in OTHERWISE.items():
            if name in statement:
                yield statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"), changes
