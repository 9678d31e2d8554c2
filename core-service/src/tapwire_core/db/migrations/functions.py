"""SQL functions beside the revision that brings them, in a file of the same name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

END: Final = "\n-- end of function\n"


def functions_of(revision_file: str) -> Iterator[str]:
    """The statements of a revision's .sql file, for `op.execute`, which takes a colon for a parameter."""
    for statement in Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8").split(END):
        if statement.strip():
            yield statement.replace(":", r"\:")
