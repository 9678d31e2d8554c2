"""The progress of a command as one line on the terminal, gone when the command ends. Without a terminal it writes nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tapwire_core.progress import Advance, untold


@contextmanager
def progress_line() -> Iterator[Advance]:
    """Show what it is told on stderr while the block runs, if stderr is a terminal; output of the block stands above the line."""
    if not sys.stderr.isatty():
        yield untold
        return
    # loaded here, as most commands show none
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as line:

        def advance(step: str, done: int, total: int) -> None:
            if [task.description for task in line.tasks] != [step]:
                for earlier in line.task_ids:
                    line.remove_task(earlier)
                line.add_task(step, total=None)
            line.update(line.task_ids[0], completed=done, total=max(done, total) if total else None)

        yield advance
