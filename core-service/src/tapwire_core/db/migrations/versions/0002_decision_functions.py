"""The functions that lock, read and record a decision in one round trip each."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split("\n-- end of function\n"):
        if statement.strip():
            op.execute(statement.replace(":", r"\:"))


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
