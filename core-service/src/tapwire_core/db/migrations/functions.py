"""SQL functions beside the revision that brings them, in a file of the same name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from alembic import op

END: Final = "\n-- end of function\n"


def functions_of(revision_file: str) -> Iterator[str]:
    """The statements of a revision's .sql file, for `op.execute`, which takes a colon for a parameter."""
    for statement in Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8").split(END):
        if statement.strip():
            yield statement.replace(":", r"\:")


def change_function(signature: str, before: str, after: str) -> None:
    """Change one place of a function as it is in the database, with the settings that it has."""
    statement = op.get_bind().exec_driver_sql(f"SELECT pg_get_functiondef('{signature}'::regprocedure)").scalar_one()
    assert statement.count(before) == 1, f"{signature} is not what it was"
    op.get_bind().exec_driver_sql(statement.replace(before, after))
