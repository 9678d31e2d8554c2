"""decisions that are made together are locked, read and written as sets."""

from pathlib import Path

from alembic import op

from tapwire_core.db.migrations.functions import functions_of

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NOT_CALLED_ANY_MORE = (
    "lock_question(text, text, uuid, uuid)",
    "lock_report(text, uuid, text, bigint, bigint, bigint, uuid)",
    "lock_rows(text[], text[], uuid[])",
    "apply_changes(jsonb)",
    "pour_facts(uuid)",
    "tap_now(text)",
)

KEPT = ("FUNCTION share_open_shift", "FUNCTION audit_new_incident", "TRIGGER new_incident_is_audited")


def upgrade() -> None:
    """Go to this revision."""
    for signature in NOT_CALLED_ANY_MORE:
        op.execute(f"DROP FUNCTION {signature}")
    for statement in functions_of(__file__):
        op.execute(statement)


def downgrade() -> None:
    """Go back to the revision before."""
    for signature in (
        "apply_together(jsonb)",
        "lock_together(jsonb, integer)",
        "lock_flow(text, uuid, uuid, bigint, bigint)",
        "lock_odometer(text, uuid)",
        "lock_pour(uuid)",
        "question_facts(jsonb)",
        "report_facts(jsonb)",
        "overlapping_stretches(text, uuid, bigint, bigint)",
    ):
        op.execute(f"DROP FUNCTION {signature}")
    for view in ("tap_now", "pour_facts"):
        op.execute(f"DROP VIEW {view}")
    here = Path(__file__)
    for revision_file in ("0002_decision_functions.py", "0005_decisions_together.py"):
        for statement in functions_of(str(here.with_name(revision_file))):
            if not any(kept in statement for kept in KEPT):
                op.execute(statement)
