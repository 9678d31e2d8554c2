"""Indexes that leave the planner no second choice, and vacuum that keeps up with the hot tables.

A journal's stretches were also to be had by the index that keeps facts unique, and statistics could make that one look as good: it reads
all that the journal ever said. What a guest holds was found in any index of the pending pours.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UPDATED_ALL_THE_TIME = ("pours", "visits", "guests", "kegs")


def upgrade() -> None:
    """Go to this revision."""
    op.drop_index("uq_odometer_stretches_fact", table_name="odometer_stretches")
    op.create_index(
        "uq_odometer_stretches_fact",
        "odometer_stretches",
        ["fact_id", "tap_path", "journal_id", "from_ml", "to_ml"],
        unique=True,
    )
    op.drop_index("ix_pours_guest_holds", table_name="pours")
    op.create_index(
        "ix_pours_guest_holds",
        "pours",
        ["guest_id"],
        postgresql_include=["hold_minor"],
        postgresql_where="sync_status = 'pending_sync'",
    )
    for table in UPDATED_ALL_THE_TIME:
        op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)")


def downgrade() -> None:
    """Go back to the revision before."""
    for table in UPDATED_ALL_THE_TIME:
        op.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor)")
    op.drop_index("ix_pours_guest_holds", table_name="pours")
    op.create_index("ix_pours_guest_holds", "pours", ["guest_id"], postgresql_where="sync_status = 'pending_sync'")
    op.drop_index("uq_odometer_stretches_fact", table_name="odometer_stretches")
    op.create_index(
        "uq_odometer_stretches_fact",
        "odometer_stretches",
        ["tap_path", "journal_id", "fact_id", "from_ml", "to_ml"],
        unique=True,
    )
