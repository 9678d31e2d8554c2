"""`tapwire-core`: migrate, run, check, create-user, the devices' commands, sync-broker, those of backups and imports."""

import argparse
import gc
import logging
import secrets
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

import uvloop

from tapwire_contracts.logs import set_up_logs
from tapwire_contracts.programs import UnitsNotInstalled, add_common_options, add_units_options, print_units_installed
from tapwire_contracts.topics import DeviceKind
from tapwire_core.broker.device_logins import BrokerNotTold, DeviceLogins, keep_device_logins, sync_device_logins
from tapwire_core.broker.private_file import write_private
from tapwire_core.broker.tap_toml import CA_FILE, DRIVERS, GPIO, tap_toml
from tapwire_core.commands.backup import add_backup_commands
from tapwire_core.commands.imports import add_import_commands
from tapwire_core.commands.open_database import open_database
from tapwire_core.db.schema import migrate
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import Role
from tapwire_core.errors import DomainError
from tapwire_core.services.books import check_books
from tapwire_core.services.devices import add_device, read_path, revoke_device, rotate_device
from tapwire_core.services.users import create_user
from tapwire_core.settings import InvalidSettings, Settings, read_settings
from tapwire_core.worker.worker import run_core, run_until_told

PACKAGE: Final = "tapwire-core"
DONE: Final = 0
NOT_DONE: Final = 1
COMMAND_LINE: Final = Actor("command-line")
PASSWORD_BYTES: Final = 12
TAP_TOML: Final = "tap.toml"
GARBAGE: Final = 20_000
"""So many new objects that are still there are worth a look for cycles; pours leave hardly any, and each look costs them time."""


def main() -> None:
    """Run one command; exit 1 with one clear line on stderr when it can't be done."""
    arguments = parser().parse_args()
    command: Callable[[Settings, argparse.Namespace], Coroutine[None, None, int]] | None = arguments.command
    try:
        if command is None:
            print_units_installed(PACKAGE, arguments)
            sys.exit(DONE)
        settings = read_settings()
        set_up_logs("core")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        code = uvloop.run(command(settings, arguments))
    except (DomainError, InvalidSettings, UnitsNotInstalled, OSError) as error:
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
    commands.add_parser("check", help="prove that the books balance, or name what differs").set_defaults(command=_check)
    user = commands.add_parser("create-user", help="create an operator's login; prints a password once unless given")
    user.add_argument("name")
    user.add_argument("--role", required=True, choices=[role.value for role in Role])
    user.add_argument("--password-file", type=_text_of, dest="password", help="read the password from this file")
    user.set_defaults(command=_create_user)
    _add_device_commands(commands)
    add_backup_commands(commands)
    add_import_commands(commands)
    units = commands.add_parser("install-units", help="write the systemd units, and examples of their settings")
    add_units_options(units, has_settings=True)
    units.set_defaults(command=None)
    return top


def _add_device_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = commands.add_parser(
        "add-device", help="let a tap node or desk reader speak; prints its secret once, and a tap's settings"
    )
    rotate = commands.add_parser("rotate-device", help="give a device a new secret, printed once; the old one is worth nothing")
    for secret, use_case in ((add, add_device), (rotate, rotate_device)):
        secret.add_argument("--folder", type=Path, help="write the tap's settings into this folder, and print no secret")
        secret.add_argument("--driver", choices=DRIVERS, default=GPIO, help="the tap's hardware")
        secret.set_defaults(command=_give_secret, use_case=use_case)
    revoke = commands.add_parser("revoke-device", help="revoke a device's credentials")
    revoke.set_defaults(command=_revoke_device)
    for device in (add, rotate, revoke):
        device.add_argument("path", help="VENUE/taps/TAP or VENUE/readers/READER")
    sync = commands.add_parser("sync-broker", help="keep Mosquitto's password file of devices as the database has it")
    sync.add_argument("--file", type=Path, required=True, help="the password file of the devices' listener")
    sync.add_argument("--pid-file", type=Path, help="the broker's process id; without it the broker is not signalled")
    sync.add_argument("--once", action="store_true", help="look once, and end")
    sync.set_defaults(command=_sync_broker)


def _text_of(file: str) -> str:
    return Path(file).read_text(encoding="utf-8").strip()


async def _migrate(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    print(f"The database is at revision {await migrate(settings.owner_url, settings.database_url)}.")
    return DONE


async def _run_worker(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    gc.freeze()  # what is imported stays: no collection need look at it again
    gc.set_threshold(GARBAGE)
    await run_core(settings)
    return DONE


async def _check(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    async with open_database(settings) as db:
        differences = await check_books(db)
    for difference in differences:
        print(difference)
    print(f"The books do not balance: {len(differences)} differences." if differences else "The books balance.")
    return NOT_DONE if differences else DONE


async def _create_user(settings: Settings, arguments: argparse.Namespace) -> int:
    password = arguments.password or secrets.token_urlsafe(PASSWORD_BYTES)
    async with open_database(settings) as db:
        await create_user(db, COMMAND_LINE, arguments.name, Role(arguments.role), password)
    print(f"Created {arguments.role} {arguments.name}." + ("" if arguments.password else f" Password, shown once: {password}"))
    return DONE


async def _give_secret(settings: Settings, arguments: argparse.Namespace) -> int:
    is_tap = read_path(arguments.path).kind is DeviceKind.TAP
    if arguments.folder is not None:
        if not is_tap or settings.device_broker_url is None:
            raise InvalidSettings("--folder is for taps, and needs TAPWIRE_DEVICE_BROKER_URL: where devices find the broker")
        # before the secret is made: one that can't be written down would be lost
        arguments.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with open_database(settings) as db:
        device = await arguments.use_case(db, COMMAND_LINE, arguments.path)
    url, ca_file = settings.device_broker_url, settings.broker_ca_file
    ready = tap_toml(device, url, driver=arguments.driver, has_ca_file=ca_file is not None) if url and is_tap else ""
    if arguments.folder is not None:
        _write_tap_folder(arguments.folder, ready, ca_file)
        print(f"Device {device.path}\nits settings, with the secret: {arguments.folder / TAP_TOML}")
        return DONE
    print(f"Device {device.path}\nusername {device.username}\nsecret, shown once: {device.secret}")
    if ready:
        print(f"\nits {TAP_TOML}:\n\n{ready}")
    return DONE


def _write_tap_folder(folder: Path, ready: str, ca_file: Path | None) -> None:
    write_private(folder / TAP_TOML, ready)
    if ca_file is not None:
        (folder / CA_FILE).write_bytes(ca_file.read_bytes())


async def _revoke_device(settings: Settings, arguments: argparse.Namespace) -> int:
    async with open_database(settings) as db:
        await revoke_device(db, COMMAND_LINE, arguments.path)
    print(f"Device {arguments.path} is revoked.")
    return DONE


async def _sync_broker(settings: Settings, arguments: argparse.Namespace) -> int:
    logins = DeviceLogins(arguments.file, arguments.pid_file)
    async with open_database(settings) as db:
        if not arguments.once:
            await run_until_told(keep_device_logins(db, logins))
            return DONE
        try:
            await sync_device_logins(db, logins)
        except BrokerNotTold as error:
            print(f"The file is written; {error}.")
    return DONE


if __name__ == "__main__":
    main()
