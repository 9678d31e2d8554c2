"""`tapwire-core add-device`, `rotate-device`, `revoke-device`, `sync-broker`."""

import argparse
from pathlib import Path
from typing import Final

from tapwire_contracts.tasks import run_together
from tapwire_contracts.topics import DeviceKind
from tapwire_core.broker.device_logins import BrokerNotReloaded, DeviceLogins, keep_device_logins, sync_device_logins
from tapwire_core.broker.private_file import write_private
from tapwire_core.broker.tap_toml import CA_FILE, DRIVERS, GPIO, tap_toml
from tapwire_core.commands.common import COMMAND_LINE, DONE, open_database
from tapwire_core.domain.closed_sets import Program
from tapwire_core.services.devices import add_device, read_path, revoke_device, rotate_device
from tapwire_core.settings import InvalidSettings, Settings
from tapwire_core.worker.heartbeats import instance_of_this_process, keep_heartbeat
from tapwire_core.worker.worker import run_until_signalled

TAP_TOML: Final = "tap.toml"


def add_device_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands for devices and their credentials."""
    add = commands.add_parser(
        "add-device", help="give a tap node or desk reader credentials; prints the secret once, and a tap's settings"
    )
    rotate = commands.add_parser("rotate-device", help="give a device a new secret, printed once; the old one is no longer valid")
    for secret, use_case in ((add, add_device), (rotate, rotate_device)):
        secret.add_argument("--folder", type=Path, help="write the tap's settings into this folder, and print no secret")
        secret.add_argument("--driver", choices=DRIVERS, default=GPIO, help="the tap's hardware")
        secret.set_defaults(command=_give_secret, use_case=use_case)
    revoke = commands.add_parser("revoke-device", help="revoke a device's credentials")
    revoke.set_defaults(command=_revoke_device)
    for device in (add, rotate, revoke):
        device.add_argument("path", help="VENUE/taps/TAP or VENUE/readers/READER")
    sync = commands.add_parser("sync-broker", help="keep Mosquitto's password file of devices in step with the database")
    sync.add_argument(
        "--file",
        type=Path,
        required=True,
        help="the password file of the devices' listener, which binds client ids (use_username_as_clientid)",
    )
    sync.add_argument("--pid-file", type=Path, help="the broker's process id; without it the broker is not signalled")
    sync.add_argument("--once", action="store_true", help="write the file once, and exit")
    sync.set_defaults(command=_sync_broker)


async def _give_secret(settings: Settings, arguments: argparse.Namespace) -> int:
    is_tap = read_path(arguments.path).kind is DeviceKind.TAP
    if arguments.folder is not None:
        if not is_tap or settings.device_broker_url is None:
            raise InvalidSettings("--folder is for taps, and needs TAPWIRE_DEVICE_BROKER_URL: the devices' URL of the broker")
        # before the secret is made: a secret that can't be written would be lost
        arguments.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with open_database(settings) as db:
        device = await arguments.use_case(db, COMMAND_LINE, arguments.path)
    url, ca_file = settings.device_broker_url, settings.broker_ca_file
    ready = ""
    if url and is_tap:
        protocol, driver = settings.broker_protocol, arguments.driver
        ready = tap_toml(device, url, protocol=protocol, driver=driver, has_ca_file=ca_file is not None)
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
            heartbeat = keep_heartbeat(db, Program.SYNC_BROKER, instance_of_this_process())
            await run_until_signalled(run_together(keep_device_logins(db, logins), heartbeat))
            return DONE
        try:
            await sync_device_logins(db, logins)
        except BrokerNotReloaded as error:
            print(f"The file is written; {error}.")
    return DONE
