"""Who may log in at a broker that asks, and what they may do there: for brokers that read no file of ours.

Devices are known as the database has them, services by a file of hashes as `mosquitto_passwd` and `tapwire-core hash-logins` write
it. A device's client id is its username. A service has any other id, but never a device's: none can end a device's connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tapwire_contracts.acl import ACCOUNTS, Access, BrokerRole, may
from tapwire_contracts.text_files import read_text_file
from tapwire_contracts.topics import DevicePath, InvalidPath
from tapwire_core.broker.private_file import write_private
from tapwire_core.services.devices import InvalidHash, broker_hash, check_hash, is_secret_of

_NOBODY: Final = broker_hash("nobody has this secret")
LONGEST_SECRET: Final = 512


class InvalidLogins(Exception):
    """The file of the services' logins can't be used; the text says which line and why, and never shows a hash."""


@dataclass(frozen=True, slots=True)
class Logins:
    """Everybody who may log in: hashes of devices by path, and of services by name."""

    devices: Mapping[str, str] = field(repr=False)
    services: Mapping[str, str] = field(repr=False)

    def is_secret(self, username: str, secret: str) -> bool:
        """Check a login. An unknown name takes as long as a wrong secret."""
        made = self.devices.get(username) or self.services.get(username)
        fits = len(secret) <= LONGEST_SECRET and is_secret_of(made or _NOBODY, secret)
        return fits and made is not None

    def may_use_client_id(self, username: str, client_id: str | None) -> bool:
        """Return True if this account may have a connection with this client id."""
        role = self.role_of(username)
        if role is None or not client_id:
            return False
        return client_id == username if role is BrokerRole.DEVICE else not _is_device(client_id)

    def may_use_topic(self, username: str, access: Access, topic_filter: str) -> bool:
        """Return True if the account may publish on a topic, or subscribe to a whole filter."""
        role = self.role_of(username)
        return role is not None and may(role, username, access, topic_filter)

    def role_of(self, username: str) -> BrokerRole | None:
        """The role of an account that may log in now; None for all others."""
        if username in self.devices:
            return BrokerRole.DEVICE
        return ACCOUNTS[username] if username in self.services else None


def read_services(file: Path) -> dict[str, str]:
    """Read the services' hashes, lines of `NAME:HASH`; raises `InvalidLogins` and `OSError`."""
    found = {}
    for number, line in enumerate(read_text_file(file).splitlines(), start=1):
        name, _, made = line.strip().partition(":")
        if not name:
            continue
        if name not in ACCOUNTS:
            raise InvalidLogins(f"{file}, line {number}: there is no service {name[:40]!r}; write one of {', '.join(ACCOUNTS)}")
        try:
            check_hash(made)
        except InvalidHash as error:
            raise InvalidLogins(
                f"{file}, line {number}: {error}; write {name}:PASSWORD and let `tapwire-core hash-logins` hash it"
            ) from None
        found[name] = made
    return found


def hash_logins(file: Path) -> int:
    """Hash the passwords of a file of lines `NAME:PASSWORD` in place; lines with a hash stay. Returns how many were hashed."""
    lines, hashed = [], 0
    for line in read_text_file(file).splitlines():
        name, colon, password = line.partition(":")
        if colon and not _is_hash(password):
            line, hashed = f"{name}:{broker_hash(password)}", hashed + 1
        lines.append(line)
    write_private(file, "".join(f"{line}\n" for line in lines))
    return hashed


def _is_hash(text: str) -> bool:
    try:
        check_hash(text)
    except InvalidHash:
        return False
    return True


def _is_device(client_id: str) -> bool:
    try:
        DevicePath.parse(client_id)
    except InvalidPath:
        return False
    return True
