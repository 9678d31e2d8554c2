"""The `tapwire-core` command line: migrate, run, check and create-user here, all other commands in `commands/`."""

import argparse
import gc
import logging
import secrets
import sys
from collections.abc import Callable, Coroutine
from typing import Final

import uvloop

from tapwire_contracts.logs import set_up_logs
from tapwire_contracts.programs import UnitsNotInstalled, add_common_options, add_units_options, print_units_installed
from tapwire_contracts.text_files import read_text_file
from tapwire_core.commands.backup import add_backup_commands
from tapwire_core.commands.broker_logins import add_broker_logins_commands
from tapwire_core.commands.common import COMMAND_LINE, DONE, NOT_DONE, open_database
from tapwire_core.commands.devices import add_device_commands
from tapwire_core.commands.imports import add_import_commands
from tapwire_core.commands.progress_line import progress_line
from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.db.schema import migrate
from tapwire_core.domain.closed_sets import Role
from tapwire_core.errors import DomainError
from tapwire_core.services.books import check_books
from tapwire_core.services.users import create_user
from tapwire_core.settings import InvalidSettings, Settings, read_settings
from tapwire_core.worker.worker import run_core

PACKAGE: Final = "tapwire-core"
PASSWORD_BYTES: Final = 12
GC_THRESHOLD: Final = 20_000
"""Number of surviving new objects that starts a collection; pours leave hardly any, and each collection delays them."""


def main() -> None:
    """Run one command; exit 1 with one line on stderr when it fails."""
    arguments = parser().parse_args()
    command: Callable[[Settings, argparse.Namespace], Coroutine[None, None, int]] | None = arguments.command
    try:
        if command is None:
            arguments.without_settings(arguments)
            sys.exit(DONE)
        settings = read_settings()
        set_up_logs("core")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with translate_database_errors():
            code = uvloop.run(command(settings, arguments))
    except (DomainError, InvalidSettings, UnitsNotInstalled, DatabaseUnavailable, OSError) as error:
        print(f"tapwire-core: {error}", file=sys.stderr)
        code = NOT_DONE
    sys.exit(code)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="tapwire-core", description="Tapwire's core service. Settings: TAPWIRE_* variables.")
    add_common_options(top, PACKAGE)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("migrate", help="bring the database to this version's schema").set_defaults(command=_migrate)
    commands.add_parser("run", help="run a core worker").set_defaults(command=_run_worker)
    commands.add_parser("check", help="prove that the books balance, or list the differences").set_defaults(command=_check)
    user = commands.add_parser("create-user", help="create an operator's login; prints a password once unless given")
    user.add_argument("name")
    user.add_argument("--role", required=True, choices=[role.value for role in Role])
    user.add_argument("--venues", type=_ids_of, help="the ids of the venues that the user sees, with commas; all if left out")
    user.add_argument("--password-file", type=_text_of, dest="password", help="read the password from this file")
    user.set_defaults(command=_create_user)
    add_device_commands(commands)
    add_broker_logins_commands(commands)
    add_backup_commands(commands)
    add_import_commands(commands)
    units = commands.add_parser("install-units", help="write the systemd units, and examples of their settings")
    add_units_options(units, has_settings=True)
    units.set_defaults(command=None, without_settings=lambda arguments: print_units_installed(PACKAGE, arguments))
    return top


def _ids_of(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",")]


def _text_of(file: str) -> str:
    return read_text_file(file).strip()


async def _migrate(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    with progress_line() as advance:
        revision = await migrate(settings.owner_url, settings.database_url, advance=advance)
    print(f"The database is at revision {revision}.")
    return DONE


async def _run_worker(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    gc.freeze()  # imported modules stay: no collection needs to scan them again
    gc.set_threshold(GC_THRESHOLD)
    await run_core(settings)
    return DONE


async def _check(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    async with open_database(settings) as db:
        with progress_line() as advance:
            advance("proving the books", 0, 0)
            differences = await check_books(db)
    for difference in differences:
        print(difference)
    print(f"The books do not balance: {len(differences)} differences." if differences else "The books balance.")
    return NOT_DONE if differences else DONE


async def _create_user(settings: Settings, arguments: argparse.Namespace) -> int:
    password = arguments.password or secrets.token_urlsafe(PASSWORD_BYTES)
    async with open_database(settings) as db:
        await create_user(db, COMMAND_LINE, arguments.name, Role(arguments.role), password, arguments.venues)
    print(f"Created {arguments.role} {arguments.name}." + ("" if arguments.password else f" Password, shown once: {password}"))
    return DONE


if __name__ == "__main__":
    main()
