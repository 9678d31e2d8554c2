"""the audit log and the books are only ever added to: the database refuses everything else, to every role."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ONLY_ADDED_TO = ("audit", "money_movements", "stock_movements")


def upgrade() -> None:
    """Go to this revision."""
    op.execute(
        """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of % are never changed or deleted: a correction is a new row', TG_TABLE_NAME
                USING ERRCODE = 'insufficient_privilege';
        END $$"""
    )
    for table in ONLY_ADDED_TO:
        op.execute(
            f"""CREATE TRIGGER rows_stay_as_they_are BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"""
        )


def downgrade() -> None:
    """Go back to the revision before."""
    for table in ONLY_ADDED_TO:
        op.execute(f"DROP TRIGGER rows_stay_as_they_are ON {table}")
    op.execute("DROP FUNCTION refuse_change()")
