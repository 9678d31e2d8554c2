"""RabbitMQ as we ship it: what `broker-config/rabbitmq/install.sh` writes, on free ports, and `broker-logins` which it asks."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiomqtt import ProtocolVersion, Will

from tapwire_contracts.mqtt_clients import NO_DELAY
from tapwire_contracts.tasks import end_tasks
from tapwire_core.broker.client import Client
from tapwire_core.broker.login_server import LoginDoor, login_server
from tapwire_core.broker.management_api import BrokerKind, ManagementApi, read_api_addresses
from tapwire_core.broker.rabbitmq_logins import RabbitQuestions
from tapwire_core.broker.revocations import LoginKeeper, api_client
from tapwire_core.db.engine import Database
from tapwire_demo.processes import LOOPBACK, free_port
from tests.rabbitmq import Epmd, RabbitMember, running_member
from tests.shipped_broker import SHIPPED

PATIENCE_S: Final = 10.0
SOON_S: Final = 0.1


@dataclass
class ShippedRabbit:
    """A running RabbitMQ, and where it listens and asks."""

    folder: Path
    secrets: Path
    mqtt_port: int
    api_port: int
    logins_port: int
    member: RabbitMember

    def device(
        self,
        username: str,
        secret: str,
        *,
        client_id: str | None = None,
        will: Will | None = None,
        protocol: ProtocolVersion = ProtocolVersion.V311,
        timeout_s: float = PATIENCE_S,
    ) -> Client:
        """A client with a device's login; its client id is its username unless the test says another."""
        return self.client(username, secret, username if client_id is None else client_id, will, protocol, timeout_s)

    def service(self, name: str, *, client_id: str | None = None) -> Client:
        """A client of core, admin, operator or home, each with the password that the install made."""
        return self.client(name, self.password(name), client_id)

    def client(
        self,
        username: str,
        password: str,
        client_id: str | None,
        will: Will | None = None,
        protocol: ProtocolVersion = ProtocolVersion.V311,
        timeout_s: float = PATIENCE_S,
    ) -> Client:
        """A client with any login; with MQTT 3.1.1, whose only refusal is the end of the connection."""
        return Client(
            LOOPBACK,
            self.mqtt_port,
            username=username,
            password=password,
            identifier=client_id,
            protocol=protocol,
            socket_options=NO_DELAY,
            timeout=timeout_s,
            will=will,
        )

    def password(self, name: str) -> str:
        """A service's password."""
        if (password := self.secrets / f"{name}_password").exists():
            return password.read_text().strip()
        return (self.secrets / f"{name}_broker_url").read_text().split("@")[0].rsplit(":", 1)[1]

    @property
    def newest_protocol(self) -> str:
        """The newest MQTT that it speaks: 5 from RabbitMQ 3.13 on."""
        return "5" if self.member.version >= (3, 13) else "3.1.1"

    @property
    def core_url(self) -> str:
        """Where a core worker finds it."""
        return (self.secrets / "core_broker_url").read_text().strip()

    @property
    def settings(self) -> dict[str, str]:
        """The settings of `tapwire-core broker-logins` from the files that the install made."""
        return {
            "TAPWIRE_BROKER_LOGINS_SECRET_FILE": str(self.secrets / "broker_logins_secret"),
            "TAPWIRE_BROKER_API_URL_FILE": str(self.secrets / "broker_api_url"),
        }

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of `tapwire-core broker-logins`."""
        return ("broker-logins", "--services", str(self.folder / "services"), "--listen", f"{LOOPBACK}:{self.logins_port}")

    @property
    def api_url(self) -> str:
        """The management API's address with its account."""
        return (self.secrets / "broker_api_url").read_text().strip()

    @property
    def logins_secret(self) -> str:
        """What it shows to `broker-logins`."""
        return (self.secrets / "broker_logins_secret").read_text().strip()

    @asynccontextmanager
    async def asking(self, db: Database, pause_s: float = SOON_S) -> AsyncIterator[LoginKeeper]:
        """`tapwire-core broker-logins` on a database, in this process and without patience."""
        addresses = read_api_addresses(self.api_url)
        async with api_client(None) as client:
            keeper = LoginKeeper(db, self.folder / "services", ManagementApi(BrokerKind.RABBITMQ, client), addresses)
            await keeper.read()
            managers = {address.username: address.secret for address in addresses}
            door = LoginDoor(self.logins_secret, RabbitQuestions(managers), keeper.known)
            server = login_server(door, LOOPBACK, self.logins_port)
            serving, keeping = asyncio.create_task(server.serve()), asyncio.create_task(keeper.keep(pause_s))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while not server.started:
                        await asyncio.sleep(0.01)
                yield keeper
            finally:
                server.should_exit = True
                await serving
                await end_tasks(keeping)


@asynccontextmanager
async def shipped_rabbit(folder: Path) -> AsyncIterator[ShippedRabbit]:
    """Install it and run it; nobody answers it yet."""
    mqtt_port, api_port, logins_port = free_port(), free_port(), free_port()
    secrets = folder / "secrets"
    install(folder, secrets, MQTT_PORT=str(mqtt_port), API_PORT=str(api_port), LOGINS=f"{LOOPBACK}:{logins_port}")
    run(SHIPPED / "accounts.sh", folder, f"mqtt://{LOOPBACK}:{mqtt_port}", secrets)
    member = RabbitMember(folder, Epmd(folder))
    async with running_member(member):
        yield ShippedRabbit(folder, secrets, mqtt_port, api_port, logins_port, member)


def install(folder: Path, secrets: Path, variant: str = "plain", **variables: str) -> None:
    """The steps of broker-config/README.md."""
    run(SHIPPED / "rabbitmq" / "install.sh", folder, secrets, variant, BIND=LOOPBACK, MEMBERS=LOOPBACK, **variables)


def run(script: Path, *arguments: str | Path, **variables: str) -> str:
    """Run one of the shipped scripts; as root the broker stays root, as tests' folders are root's alone."""
    user = {"BROKER_USER": "root"} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [script, *arguments], env={**os.environ, **user, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
