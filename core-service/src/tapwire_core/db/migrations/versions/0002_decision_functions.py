"""The functions that lock, read and record a decision in one round trip each."""

from alembic import op

from tapwire_core.db.migrations.functions import functions_of

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    for statement in functions_of(__file__):
        op.execute(statement)


def downgrade() -> None:
    """Go back to the revision before."""
    op.execute("DROP TRIGGER new_incident_is_audited ON incidents")
    for signature in (
        "audit_new_incident()",
        "lock_question(text, text, uuid, uuid)",
        "lock_report(text, uuid, text, bigint, bigint, bigint, uuid)",
        "lock_flow(text, uuid, uuid, bigint, bigint)",
        "lock_odometer(text, uuid)",
        "lock_pour(uuid)",
        "pour_facts(uuid)",
        "tap_now(text)",
        "share_open_shift(text)",
        "apply_changes(jsonb)",
    ):
        op.execute(f"DROP FUNCTION {signature}")
