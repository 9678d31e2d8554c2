"""Mosquitto as an embedded broker: a private instance with configuration, users and ACL of its own.

It reads users and ACL again at SIGHUP, and then drops the connections whose login is good no more. A login of the changed account
tells when that has happened.
"""

import asyncio
import os
import secrets
import shutil
import signal
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import aiomqtt

from tapwire_contracts.acl import BrokerRole, mosquitto_acl
from tapwire_contracts.codec import MAX_PAYLOAD_BYTES
from tapwire_core.broker.client import Client
from tapwire_core.broker.private_file import write_private
from tapwire_core.services.devices import broker_hash
from tapwire_demo.embedded_broker import Account, BrokerKind, EmbeddedBroker, EmbeddedBrokerError
from tapwire_demo.processes import LOOPBACK, Child, StopStep, free_port

START_TIMEOUT_S: Final = 10.0
RELOAD_TIMEOUT_S: Final = 5.0
START_ATTEMPTS: Final = 3
MAX_PACKET_BYTES: Final = MAX_PAYLOAD_BYTES + 1024
"""The longest payload, and room for the topic and the rest of its packet."""
_STOP: Final = (StopStep(signal.SIGTERM, 5.0),)
_POLL_S: Final = 0.02
# most systems keep it in a folder that an ordinary user's PATH leaves out
_MORE_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


def find_mosquitto() -> Path | None:
    """Mosquitto's program, if this machine has one."""
    found = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_MORE_FOLDERS)))
    return Path(found) if found else None


class MosquittoBroker(EmbeddedBroker):
    """A Mosquitto of ours; its folder holds `mosquitto.conf`, `users`, `acl` and `mosquitto.log`, all mode 600."""

    kind = BrokerKind.MOSQUITTO
    protocol = "5"

    def __init__(self, folder: Path, accounts: Iterable[Account]) -> None:
        super().__init__(accounts)
        self._folder = folder
        self._server: Child | None = None
        self._written: tuple[dict[str, Account], dict[str, str]] = ({}, {})
        self.port = self.device_port = 0

    async def start(self) -> None:
        """Start it and wait until it answers; raises `EmbeddedBrokerError`."""
        program = find_mosquitto()
        if program is None:
            raise EmbeddedBrokerError("mosquitto is not installed: install it (Debian: apt-get install mosquitto) or use amqtt")
        for attempt in range(1, START_ATTEMPTS + 1):
            ports = (self.port, self.device_port) if self.port else (free_port(), free_port())
            server = self._spawn(program, *ports)
            try:
                if await self._answers(server, ports[0]):
                    (self.port, self.device_port), self._server = ports, server
                    self._catch_up()
                    return
            finally:
                if self._server is not server:
                    server.kill()
            if attempt == START_ATTEMPTS:
                raise EmbeddedBrokerError(f"mosquitto does not start; the end of its log:\n{server.log_tail()}")

    async def stop(self) -> None:
        """Stop it."""
        if self._server is not None:
            await self._server.stop()

    @property
    def running(self) -> bool:
        """True while its process runs."""
        return self._server is not None and self._server.running

    @property
    def pid(self) -> int | None:
        """The server's process id."""
        return self._server.pid if self._server is not None else None

    def _spawn(self, program: Path, port: int, device_port: int) -> Child:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write_accounts()
        configuration = self._folder / "mosquitto.conf"
        write_private(configuration, _configuration(self._folder, port, device_port))
        return Child(
            [program, "-c", configuration],
            log=self._folder / "mosquitto.log",
            stop_steps=_STOP,
            env={"LC_ALL": "C", "TZ": "UTC"},
            cwd=self._folder,
        )

    def _catch_up(self) -> None:
        """Tell the server what has changed since it was started: until it answered there was nobody to be told."""
        if self._written != (self._accounts, self._device_hashes):
            self._reload_accounts()

    def _reload_accounts(self) -> None:
        assert self._server is not None
        self._write_accounts()
        self._server.send(signal.SIGHUP)

    def _write_accounts(self) -> None:
        self._written = dict(self._accounts), dict(self._device_hashes)
        named = [account for account in self._accounts.values() if account.role is not BrokerRole.DEVICE or not self._device_hashes]
        hashes = {account.username: broker_hash(account.password) for account in named} | self._device_hashes
        write_private(self._folder / "users", "".join(f"{username}:{made}\n" for username, made in hashes.items()))
        write_private(self._folder / "acl", mosquitto_acl({name: account.role for name, account in self._accounts.items()}))

    async def _answers(self, server: Child, port: int) -> bool:
        """Wait until it answers a login, if only by refusing it; False when it ended instead."""
        deadline = time.monotonic() + START_TIMEOUT_S
        stranger = Account("nobody", secrets.token_urlsafe(), next(iter(self._accounts.values())).role)
        while server.running and time.monotonic() < deadline:
            if await _login(stranger, port) is not None:
                return server.running
            await asyncio.sleep(_POLL_S)
        return False

    async def _apply_change(self, before: Account) -> None:
        if self._server is None or not self._server.running:
            return
        self._reload_accounts()
        now = self._accounts.get(before.username)
        deadline = time.monotonic() + RELOAD_TIMEOUT_S
        while await _login(now or before, self.port) is not (now is not None):
            if time.monotonic() > deadline:
                raise EmbeddedBrokerError(
                    f"mosquitto did not take the change of {before.username!r}; see {self._folder}/mosquitto.log"
                )
            await asyncio.sleep(_POLL_S)

    async def _apply_device_logins(self, changed: Collection[str]) -> None:  # noqa: ARG002  it reads the whole file again
        if self._server is not None and self._server.running:
            self._reload_accounts()


async def _login(account: Account, port: int) -> bool | None:
    """Return whether the broker accepts the account; None when nothing answers."""
    client = Client(
        LOOPBACK,
        port,
        username=account.username,
        password=account.password,
        identifier=f"probe-{secrets.token_hex(8)}",
        timeout=RELOAD_TIMEOUT_S,
    )
    try:
        async with client:
            return True
    except aiomqtt.MqttCodeError:
        return False
    except aiomqtt.MqttError:
        return None


def _configuration(folder: Path, port: int, device_port: int) -> str:
    lines = [
        # as root it would become the user `mosquitto`, who can't read our private files
        *(["user root"] if os.geteuid() == 0 else []),
        "per_listener_settings false",
        "allow_anonymous false",
        f"password_file {folder}/users",
        f"acl_file {folder}/acl",
        "persistence false",
        "set_tcp_nodelay true",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        f"listener {port} {LOOPBACK}",
        f"listener {device_port} {LOOPBACK}",
        "use_username_as_clientid true",
    ]
    return "\n".join(lines) + "\n"
