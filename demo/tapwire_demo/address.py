"""Where the demo's console listens: on this machine alone, or for others too, such as a tablet."""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final, Self

from tapwire_demo.processes import LOOPBACK, free_port

ANY: Final = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104
"""Addresses that mean all of this machine's, each with the one by which the machine itself gets there."""
ELSEWHERE: Final = ("192.0.2.1", 9)
"""An address that nobody has. Nothing is sent there: the kernel only says from which of its addresses it would send."""


class AddressUnusable(Exception):
    """The console can't listen there; the text says why."""


@dataclass(frozen=True, slots=True)
class ConsoleAddress:
    """Host and port on which the admin API listens."""

    host: str
    port: int

    @classmethod
    def usable(cls, host: str, port: int | None) -> Self:
        """The address, with a free port unless one is given; raises `AddressUnusable` where nobody can listen."""
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise AddressUnusable(f"HOST={host}: {error.strerror}") from error
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
            except OSError as error:
                given = f"HOST={host}" + (f" PORT={port}" if port else "")
                raise AddressUnusable(f"{given}: {error.strerror}") from error
        return cls(host, port or free_port())

    @property
    def url(self) -> str:
        """The URL for this machine's own browser."""
        return self._url_of(ANY.get(self.host, self.host))

    @property
    def reached_at(self) -> str:
        """The host by which this machine reaches it."""
        return ANY.get(self.host, self.host)

    @property
    def outside_url(self) -> str | None:
        """The URL for other machines; None where they can't come."""
        if self.host in ANY:
            return self._url_of(own_address())
        return None if is_loopback(self.host) else self.url

    def _url_of(self, host: str) -> str:
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Return whether only this machine itself gets there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_address() -> str:
    """The address by which other machines reach this one: the one from which it sends; without a network its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
            address: str = probe.getsockname()[0]
        except OSError:
            return socket.gethostname()
    return address
