"""`tapwire-core`: migrate, run, check, create-user, add-device."""

import argparse
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop

from tapwire_contracts.logs import set_up_logs
from tapwire_core.app import run_core
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate, require_newest
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.words import Role
from tapwire_core.errors import DomainError
from tapwire_core.services.books import check_books
from tapwire_core.services.devices import add_device
from tapwire_core.services.users import create_user
from tapwire_core.settings import InvalidSettings, Settings, read_settings

DONE: Final = 0
NOT_DONE: Final = 1
COMMAND_LINE: Final = Actor("command-line")
PASSWORD_BYTES: Final = 12


def main() -> None:
    """Run one command; exit 1 with one clear line on stderr when it can't be done."""
    arguments = _parser().parse_args()
    command: Callable[[Settings, argparse.Namespace], Coroutine[None, None, int]] = arguments.command
    try:
        settings = read_settings()
        set_up_logs("core")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        code = uvloop.run(command(settings, arguments))
    except (DomainError, InvalidSettings, OSError) as error:
        print(f"tapwire-core: {error}", file=sys.stderr)
        code = NOT_DONE
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tapwire-core", description="Tapwire's core service. Settings: TAPWIRE_* variables.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("migrate", help="bring the database to this version's schema").set_defaults(command=_migrate)
    commands.add_parser("run", help="run a core worker").set_defaults(command=_run_worker)
    commands.add_parser("check", help="prove that the books balance, or name what differs").set_defaults(command=_check)
    user = commands.add_parser("create-user", help="create an operator's login; prints a password once unless given")
    user.add_argument("name")
    user.add_argument("--role", required=True, choices=[role.value for role in Role])
    user.add_argument("--password-file", type=_text_of, dest="password", help="read the password from this file")
    user.set_defaults(command=_create_user)
    device = commands.add_parser("add-device", help="let a tap node or desk reader speak; prints its secret once")
    device.add_argument("path", help="VENUE/taps/TAP or VENUE/readers/READER")
    device.set_defaults(command=_add_device)
    return parser


@asynccontextmanager
async def _open_house(settings: Settings) -> AsyncIterator[Database]:
    await require_newest(settings.database_url)
    async with Database.open(settings.database_url, settings.house, pool_size=1) as db:
        yield db


def _text_of(file: str) -> str:
    return Path(file).read_text(encoding="utf-8").strip()


async def _migrate(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    owner_url = settings.owner_database_url or settings.database_url
    print(f"The database is at revision {await migrate(owner_url, settings.database_url)}.")
    return DONE


async def _run_worker(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    await run_core(settings)
    return DONE


async def _check(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    async with _open_house(settings) as db:
        differences = await check_books(db)
    for difference in differences:
        print(difference)
    print(f"The books do not balance: {len(differences)} differences." if differences else "The books balance.")
    return NOT_DONE if differences else DONE


async def _create_user(settings: Settings, arguments: argparse.Namespace) -> int:
    password = arguments.password or secrets.token_urlsafe(PASSWORD_BYTES)
    async with _open_house(settings) as db:
        await create_user(db, COMMAND_LINE, arguments.name, Role(arguments.role), password)
    print(f"Created {arguments.role} {arguments.name}." + ("" if arguments.password else f" Password, shown once: {password}"))
    return DONE


async def _add_device(settings: Settings, arguments: argparse.Namespace) -> int:
    async with _open_house(settings) as db:
        device = await add_device(db, COMMAND_LINE, arguments.path)
    print(f"Device {device.path}\nusername {device.username}\nsecret, shown once: {device.secret}")
    return DONE


if __name__ == "__main__":
    main()
