"""The interface of embedded brokers: accounts, two ports, start and stop."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.topics import DevicePath
from tapwire_demo.processes import LOOPBACK

_SERVICE_NAME: Final = re.compile("[a-z0-9][a-z0-9-]{0,62}")


class BrokerKind(StrEnum):
    """Which program the broker is."""

    MOSQUITTO = "mosquitto"
    AMQTT = "amqtt"


class EmbeddedBrokerError(RuntimeError):
    """The embedded broker can't be had, or an account is not possible; the message says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """A login at the broker. A device's username is its path; other names have no slash."""

    username: str
    password: str
    role: BrokerRole

    def __post_init__(self) -> None:
        if self.role is BrokerRole.DEVICE:
            DevicePath.parse(self.username)
        elif not _SERVICE_NAME.fullmatch(self.username):
            raise EmbeddedBrokerError(f"{self.username!r} is no broker account: use a-z, 0-9 and hyphens, 63 at most")


class EmbeddedBroker(ABC):
    """A broker on 127.0.0.1 and the accounts that it knows."""

    host: Final = LOOPBACK
    kind: BrokerKind
    protocol: str
    """The highest MQTT version that it speaks, "5" or "3.1.1"; an MQTT 5 client hangs at a broker that lacks it."""
    port: int
    """The port of core, admin API and operators."""
    device_port: int
    """The port of devices, each with its username as its client id."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts: dict[str, Account] = {account.username: account for account in accounts}
        self._device_hashes: dict[str, str] = {}
        """By path; while there are none, devices log in as the accounts say."""

    @property
    def name(self) -> str:
        """The broker's name for people."""
        return self.kind.value

    @property
    @abstractmethod
    def running(self) -> bool:
        """True while it runs."""

    @property
    def pid(self) -> int | None:
        """The server's process id; None where the broker is no process of its own."""
        return None

    def account(self, username: str) -> Account:
        """One of its accounts; raises `KeyError`."""
        return self._accounts[username]

    def url(self, username: str) -> str:
        """`mqtt://username:password@host:port` for one of its accounts; a path's slashes are percent-encoded."""
        account = self.account(username)
        port = self.device_port if account.role is BrokerRole.DEVICE else self.port
        return f"mqtt://{quote(username, safe='')}:{quote(account.password, safe='')}@{self.host}:{port}"

    async def add_account(self, account: Account) -> None:
        """Let a further account in, or change its password; returns when the broker knows it."""
        before = self._accounts.get(account.username)
        self._accounts[account.username] = account
        await self._apply_change(before or account)

    async def remove_account(self, username: str) -> None:
        """Forget an account and end its connections; returns when the broker lets it in no more."""
        await self._apply_change(self._accounts.pop(username))

    async def set_device_logins(self, hashes: Mapping[str, str]) -> None:
        """Let in these devices and no others, by their secrets' hashes as in a password file; device accounts count no more."""
        before = dict(self._device_hashes)
        changed = {path for path in {*before, *hashes} if before.get(path) != hashes.get(path)}
        self._device_hashes.clear()
        self._device_hashes.update(hashes)
        if changed:
            await self._apply_device_logins(changed)

    @abstractmethod
    async def _apply_device_logins(self, changed: Collection[str]) -> None:
        """Make the broker use the present hashes; of these devices they are others than before."""

    @abstractmethod
    async def start(self) -> None:
        """Start it, also again after `stop`, on the same ports; raises `EmbeddedBrokerError`."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop it; retained messages are gone. Nothing happens when it doesn't run."""

    @abstractmethod
    async def _apply_change(self, before: Account) -> None:
        """Make the broker use the present accounts; `before` is how the changed one was, or is when it is new."""
