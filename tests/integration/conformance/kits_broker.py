"""A Mosquitto that the kit runs and kills, without or with a memory of its own; it lets anybody in."""

import os
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from tapwire_contracts.acl import BrokerRole
from tapwire_demo.embedded_broker import Account, BrokerKind, EmbeddedBroker
from tapwire_demo.mosquitto import find_mosquitto
from tapwire_demo.processes import LOOPBACK, free_port

FORGETS: Final = ("persistence false",)
KEEPS: Final = ("persistence true", "autosave_on_changes true", "autosave_interval 1")


class KitsBroker(EmbeddedBroker):
    """Its address and accounts, for those who connect, and `commands` for the kit, which alone starts and stops it."""

    kind = BrokerKind.MOSQUITTO
    protocol = "5"

    def __init__(self, folder: Path, memories: Iterable[tuple[str, ...]], tls: Path | None = None) -> None:
        """With a folder of certificates it speaks TLS."""
        super().__init__([Account("core", "s3cret", BrokerRole.CORE)])
        self.port = self.device_port = free_port()
        self._tls = tls
        self.commands = [self._command(folder / f"{number}", memory) for number, memory in enumerate(memories)]

    @property
    def ca_file(self) -> Path | None:
        """The authority that its clients must trust."""
        return self._tls / "ca.crt" if self._tls else None

    def url(self, username: str) -> str:
        """`mqtt://…`, or `mqtts://…` where it speaks TLS."""
        return super().url(username).replace("mqtt://", "mqtts://" if self._tls else "mqtt://")

    def _command(self, folder: Path, memory: tuple[str, ...]) -> str:
        folder.mkdir(parents=True)
        user = ["user root"] if os.geteuid() == 0 else []
        lines = [
            *user, f"listener {self.port} {LOOPBACK}", "allow_anonymous true", "set_tcp_nodelay true", *memory,
            f"persistence_location {folder}/",
            *([f"certfile {self._tls}/server.crt", f"keyfile {self._tls}/server.key"] if self._tls else []),
        ]  # fmt: skip
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        return shlex.join([str(find_mosquitto()), "-c", str(folder / "mosquitto.conf")])

    @property
    def running(self) -> bool:
        """Unknown: the kit runs it."""
        raise NotImplementedError

    async def start(self) -> None:
        """The kit does."""
        raise NotImplementedError

    async def stop(self) -> None:
        """The kit does."""
        raise NotImplementedError

    async def _apply_change(self, before: Account) -> None:
        """Anybody is let in."""

    async def _apply_device_logins(self, changed: Collection[str]) -> None:
        """Anybody is let in."""
