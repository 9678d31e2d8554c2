"""`tapwire-core import-guests`, `import-beverages`."""

import argparse
import sys
from pathlib import Path
from typing import Final

from tapwire_core.commands.common import COMMAND_LINE, DONE, open_database
from tapwire_core.commands.progress_line import progress_line
from tapwire_core.services.imports import import_beverages, import_guests, text_of
from tapwire_core.settings import Settings

STDIN: Final = Path("-")


def add_import_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands for CSV imports."""
    for name, use_case, columns in (
        ("import-guests", import_guests, "first_name, phone, last_name, birth_date, age_checked (yes or no)"),
        ("import-beverages", import_beverages, "name, sell_price_per_liter_minor, style, abv"),
    ):
        command = commands.add_parser(name, help=f"add the new rows of a CSV file; its first line names the columns: {columns}")
        command.add_argument("file", type=Path, help="- for stdin")
        command.set_defaults(command=_import, use_case=use_case)


async def _import(settings: Settings, arguments: argparse.Namespace) -> int:
    content = sys.stdin.buffer.read() if arguments.file == STDIN else arguments.file.read_bytes()
    async with open_database(settings) as db:
        with progress_line() as advance:
            imported = await arguments.use_case(db, COMMAND_LINE, text_of(content), advance)
    print(f"{imported.added} added, {imported.known} there already.")
    return DONE
