"""SQL functions beside the revision that brings them, in a file of the same name."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from alembic import op

END: Final = "\n-- end of function\n"


def functions_of(revision_file: str) -> Iterator[str]:
    """The statements of a revision's .sql file, for `op.execute`, which takes a colon for a parameter."""
    for statement in Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8").split(END):
        if statement.strip():
            yield statement.replace(":", r"\:")


Changes = Sequence[tuple[str, str, str]]
"""What differs in functions: the signature of each, what stands there once, and what is to stand there."""


def change_functions(changes: Changes) -> None:
    """Change functions as they are in the database, with the settings that they have."""
    for signature, before, after in changes:
        _change(signature, before, after)


def change_functions_back(changes: Changes) -> None:
    """Take `change_functions` back."""
    for signature, before, after in reversed(changes):
        _change(signature, after, before)


def _change(signature: str, before: str, after: str) -> None:
    statement = op.get_bind().exec_driver_sql(f"SELECT pg_get_functiondef('{signature}'::regprocedure)").scalar_one()
    assert statement.count(before) == 1, f"{signature} is not what it was"
    op.get_bind().exec_driver_sql(statement.replace(before, after))
