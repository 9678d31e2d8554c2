"""`tapwire-core broker-logins`, `hash-logins`: logins at a broker that asks over HTTP, such as RabbitMQ or EMQX."""

import argparse
from pathlib import Path
from typing import Final

from tapwire_contracts.tasks import run_together
from tapwire_core.broker.login_rules import InvalidLogins, hash_logins, read_services
from tapwire_core.broker.login_server import LoginDoor, login_server
from tapwire_core.broker.management_api import BrokerKind, ManagementApi, read_api_addresses
from tapwire_core.broker.rabbitmq_logins import RabbitQuestions
from tapwire_core.broker.revocations import LoginKeeper, api_client
from tapwire_core.commands.common import DONE, open_database
from tapwire_core.domain.closed_sets import Program
from tapwire_core.settings import LOOPBACK, InvalidSettings, Settings
from tapwire_core.worker.heartbeats import instance_of_this_process, keep_heartbeat
from tapwire_core.worker.worker import run_until_signalled

PORT: Final = 8085


def add_broker_logins_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands for a broker that asks about logins."""
    serve = commands.add_parser(
        "broker-logins", help="answer RabbitMQ or EMQX who may log in and do what, and have it end connections of revoked devices"
    )
    serve.add_argument("--services", type=Path, required=True, help="the file of the services' logins, NAME:HASH in each line")
    serve.add_argument("--listen", type=_address, default=(LOOPBACK, PORT), metavar="HOST:PORT", help=f"default {LOOPBACK}:{PORT}")
    serve.set_defaults(command=_serve)
    hashed = commands.add_parser("hash-logins", help="hash the passwords of a file with NAME:PASSWORD in each line, in place")
    hashed.add_argument("file", type=Path)
    hashed.set_defaults(command=None, without_settings=_hash)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


async def _serve(settings: Settings, arguments: argparse.Namespace) -> int:
    if settings.broker_logins_secret is None or settings.broker_api_url is None:
        raise InvalidSettings("broker-logins needs TAPWIRE_BROKER_LOGINS_SECRET and TAPWIRE_BROKER_API_URL")
    addresses, kind = read_api_addresses(settings.broker_api_url), BrokerKind(settings.broker_api)
    managers = {address.username: address.secret for address in addresses} if kind is BrokerKind.RABBITMQ else {}
    try:
        read_services(arguments.services)
    except InvalidLogins as error:
        raise InvalidSettings(str(error)) from error
    is_encrypted = any(address.url.startswith("https:") for address in addresses)
    async with open_database(settings) as db, api_client(settings.broker_ca_file if is_encrypted else None) as client:
        keeper = LoginKeeper(db, arguments.services, ManagementApi(kind, client), addresses)
        await keeper.read()
        door = LoginDoor(settings.broker_logins_secret, RabbitQuestions(managers), keeper.known)
        heartbeat = keep_heartbeat(db, Program.BROKER_LOGINS, instance_of_this_process())
        await run_until_signalled(run_together(login_server(door, *arguments.listen).serve(), keeper.keep(), heartbeat))
    return DONE


def _hash(arguments: argparse.Namespace) -> None:
    print(f"{hash_logins(arguments.file)} passwords are hashed now.")
