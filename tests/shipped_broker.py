"""The broker as we ship it: Mosquitto with what `broker-config/install.sh` writes, on free ports, with certificates of its own."""

import asyncio
import os
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiomqtt import MqttError, ProtocolVersion, Will

from tapwire_core.broker.client import Client
from tapwire_core.broker.device_logins import DeviceLogins
from tapwire_core.services.devices import broker_hash
from tapwire_demo.broker import find_mosquitto
from tapwire_demo.processes import LOOPBACK, Child, StopStep, free_port

SHIPPED: Final = Path(__file__).parents[1] / "broker-config"
STARTS_WITHIN_S: Final = 15.0
PATIENCE_S: Final = 10.0
SERVICES: Final = ("core", "admin", "operator", "home")


@dataclass
class ShippedBroker:
    """A running Mosquitto, its folder, and where it listens. `tls`: whether its listeners speak TLS."""

    folder: Path
    secrets: Path
    device_port: int
    service_port: int
    tls: bool
    server: Child

    def let_in(self, secrets: Mapping[str, str]) -> None:
        """Let these devices in and no others, as `tapwire-core sync-broker` does."""
        self.logins.set({path: broker_hash(secret) for path, secret in secrets.items()})

    @property
    def logins(self) -> DeviceLogins:
        """The files of `tapwire-core sync-broker`."""
        return DeviceLogins(self.folder / "devices", self.folder / "mosquitto.pid")

    def device(
        self,
        username: str,
        secret: str | None = None,
        *,
        client_id: str | None = None,
        certificate: str | None = None,
        will: Will | None = None,
        protocol: ProtocolVersion = ProtocolVersion.V5,
        timeout_s: float = PATIENCE_S,
    ) -> Client:
        """A client at the devices' listener; `certificate` is the path whose client certificate it shows."""
        return self.client(self.device_port, username, secret, client_id, certificate, will, protocol, timeout_s)

    def service(self, name: str, *, client_id: str | None = None) -> Client:
        """A client of core, admin, operator or home, each with the password that the install made."""
        return self.client(self.service_port, name, self.password(name), client_id)

    def password(self, name: str) -> str:
        """A service's password."""
        if (password := self.secrets / f"{name}_password").exists():
            return password.read_text().strip()
        return (self.secrets / f"{name}_broker_url").read_text().split("@")[0].rsplit(":", 1)[1]

    def start_again(self) -> None:
        """Start it after it was stopped, on the same ports."""
        self.server = start_mosquitto(self.folder)

    @property
    def ca_file(self) -> Path | None:
        """The authority that its clients must trust."""
        return self.folder / "tls" / "ca.crt" if self.tls else None

    def client(
        self,
        port: int,
        username: str | None = None,
        password: str | None = None,
        client_id: str | None = None,
        certificate: str | None = None,
        will: Will | None = None,
        protocol: ProtocolVersion = ProtocolVersion.V5,
        timeout_s: float = PATIENCE_S,
    ) -> Client:
        """A client at one of its ports."""
        trust = ssl.create_default_context(cafile=self.ca_file) if self.tls else None
        if certificate is not None and trust is not None:
            files = self.folder / "authority" / "devices" / certificate.replace("/", "_")
            trust.load_cert_chain(f"{files}.crt", f"{files}.key")
        return Client(
            LOOPBACK,
            port,
            username=username,
            password=password,
            identifier=client_id,
            protocol=protocol,
            tls_context=trust,
            timeout=timeout_s,
            will=will,
        )


@asynccontextmanager
async def shipped_broker(folder: Path, variant: str) -> AsyncIterator[ShippedBroker]:
    """Install a variant and run it."""
    device_port, service_port = free_port(), free_port()
    install(folder, variant, device_port, service_port)
    broker = ShippedBroker(folder, folder / "secrets", device_port, service_port, variant != "plain", start_mosquitto(folder))
    try:
        await _until_it_answers(broker)
        yield broker
    finally:
        await broker.server.stop()


def install(folder: Path, variant: str, device_port: int, service_port: int) -> None:
    """The steps of broker-config/README.md."""
    scheme = "mqtt" if variant == "plain" else "mqtts"
    run("install.sh", folder, variant, DEVICE_PORT=str(device_port), SERVICE_PORT=str(service_port), BIND=LOOPBACK)
    if variant != "plain":
        run("certificates.sh", folder, "server", "localhost", LOOPBACK)
    run("accounts.sh", folder, f"{scheme}://{LOOPBACK}:{service_port}", folder / "secrets")


def run(script: str, *arguments: str | Path, **variables: str) -> str:
    """Run one of the shipped scripts; as root the broker stays root, as tests' folders are root's alone."""
    user = {"BROKER_USER": "root"} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [SHIPPED / script, *arguments], env={**os.environ, **user, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_mosquitto(folder: Path) -> Child:
    """Start it with the installed configuration."""
    program = find_mosquitto()
    assert program is not None
    return Child(
        [program, "-c", folder / "mosquitto.conf"], log=folder / "mosquitto.log", stop_steps=[StopStep(signal.SIGTERM, 5.0)]
    )


async def _until_it_answers(broker: ShippedBroker) -> None:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while True:
            assert broker.server.running, broker.server.log_tail()
            try:
                async with broker.service("operator"):
                    return
            except MqttError:
                await asyncio.sleep(0.05)
