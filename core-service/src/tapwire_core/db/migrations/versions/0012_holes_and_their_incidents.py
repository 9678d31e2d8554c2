"""What fills a hole of an odometer finds the hole's incident, and leaves of it what is left of the hole.

A hole and its incident share their id. Holes from before get their incident's; those that facts have filled since are put right.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from tapwire_core.db.migrations.functions import change_functions, change_functions_back, functions_of

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

APPLY: Final = "apply_together(jsonb)"
AUDITED: Final = """    IF 'audited' = ANY(present) THEN
"""
GAPS_FILLED: Final = """    IF 'gaps_filled' = ANY(present) THEN
        UPDATE incidents SET
            details = details || jsonb_build_object('volume_ml', gap.volume_ml, 'value_minor', gap.value_minor),
            status = CASE gap.volume_ml WHEN 0 THEN 'resolved' ELSE status END,
            resolution = CASE gap.volume_ml WHEN 0 THEN 'no_action' END,
            resolved_at = CASE gap.volume_ml WHEN 0 THEN now() END,
            resolved_by = CASE gap.volume_ml WHEN 0 THEN change.actor END,
            comment = CASE gap.volume_ml WHEN 0 THEN 'the fact came' END
        FROM jsonb_to_recordset(decided) AS change(actor text, gaps_filled jsonb),
            jsonb_to_recordset(change.gaps_filled) AS gap(incident_id uuid, volume_ml bigint, value_minor bigint)
        WHERE incidents.incident_id = gap.incident_id AND status <> 'resolved';
    END IF;

"""
CHANGES: Final = (
    (APPLY, AUDITED, GAPS_FILLED + AUDITED),
    (APPLY, "SELECT gen_random_uuid(), kind,", "SELECT coalesce(incident_id, gen_random_uuid()), kind,"),
    (APPLY, "AS one(kind text, cause text, pour_id uuid,", "AS one(incident_id uuid, kind text, cause text, pour_id uuid,"),
    (
        APPLY,
        "THEN excluded.details || jsonb",
        """THEN excluded.details || jsonb_strip_nulls(jsonb_build_object('paid_minor',
                coalesce((incident.details->>'paid_minor')::bigint + (excluded.details->>'paid_minor')::bigint,
                    (incident.details->>'paid_minor')::bigint, (excluded.details->>'paid_minor')::bigint))) || jsonb""",
    ),
)


def upgrade() -> None:
    """Go to this revision."""
    op.create_index(
        "ix_money_movements_incident", "money_movements", ["incident_id"], postgresql_where=sa.text("incident_id IS NOT NULL")
    )
    # it returns another type; who calls it finds it by name
    op.execute("DROP FUNCTION overlapping_stretches(text, uuid, bigint, bigint)")
    for statement in functions_of(__file__):
        op.execute(statement)
    change_functions(CHANGES)


def downgrade() -> None:
    """Go back to the revision before."""
    change_functions_back(CHANGES)
    op.execute("DROP FUNCTION overlapping_stretches(text, uuid, bigint, bigint)")
    op.execute(
        """CREATE FUNCTION overlapping_stretches(at_tap text, of_journal uuid, said_from_ml bigint, said_to_ml bigint)
           RETURNS SETOF odometer_stretches
           LANGUAGE sql STABLE AS $$
               SELECT * FROM odometer_stretches
               WHERE tap_path = at_tap AND journal_id = of_journal AND to_ml > said_from_ml AND from_ml < said_to_ml
           $$"""
    )
    op.drop_index("ix_money_movements_incident", table_name="money_movements")
