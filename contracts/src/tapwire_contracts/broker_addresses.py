"""Addresses of a broker: one, or several members of a cluster separated by commas, and which of them to try next."""

import re
import socket
from random import Random
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tapwire_contracts.mqtt_clients import NO_DELAY

DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
"""URL scheme → default port."""
KEEPALIVE_BESIDE_OTHERS_S: Final = 2
"""Longest keepalive of a client that has another address: a member that hangs is left after two of them."""
UNANSWERED_MS: Final = 6_000
"""Longest time for which a machine may leave sent bytes unacknowledged before such a client takes it for dead: a missed keepalive,
which says so, comes before it."""
TRIED_AGAIN: Final = 2
_BETWEEN: Final = re.compile(r"\s*,\s*(?=[a-z]+://)")
_MOST_DOUBLINGS: Final = 20


class InvalidBrokerUrl(ValueError):
    """The text is not `mqtt://HOST:PORT` or `mqtts://HOST:PORT`, or several of them; it never names the secret in it."""


def split_broker_urls(text: str) -> tuple[str, ...]:
    """The single addresses, in their order; raises `InvalidBrokerUrl`."""
    urls = tuple(_BETWEEN.split(text.strip()))
    for url in urls:
        parse_broker_url(url)
    return urls


def parse_broker_url(url: str) -> SplitResult:
    """The parts of one address; raises `InvalidBrokerUrl`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidBrokerUrl(str(error)) from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "," in parts.hostname or port == 0:
        raise InvalidBrokerUrl("write mqtt://HOST:PORT or mqtts://HOST:PORT; several are separated by commas")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port of an address, or its scheme's default."""
    return parts.port or DEFAULT_PORTS[parts.scheme]


def host_of(url: str) -> str:
    """Host and port of an address, for logs: without its login."""
    parts = parse_broker_url(url)
    return f"{parts.hostname}:{port_of(parts)}"


def keepalive_s(wanted_s: int, *, has_others: bool) -> int:
    """The keepalive of a client: short for one that could go to another address."""
    return min(wanted_s, KEEPALIVE_BESIDE_OTHERS_S) if has_others else wanted_s


def socket_options(*, has_others: bool) -> tuple[tuple[int, int, int], ...]:
    """The socket options of a client: with another address, a machine that no longer answers is left soon (Linux)."""
    if not has_others or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return NO_DELAY
    return (*NO_DELAY, (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS))


def subscription_qos(wanted: int, *, has_others: bool) -> int:
    """The QoS of a client's subscriptions: 0 for one that could go to another address.

    RabbitMQ 3.10 keeps what is sent with QoS 1 in a queue of the client id, at the member that made it; while that member is gone,
    the others refuse this client id's subscriptions. The protocol repeats what is lost on the way.
    """
    return 0 if has_others else wanted


class Attempts:
    """Which of several addresses to try next, and how long to wait before.

    Each failure and each silent address goes to the next one; an address that ended a connection is tried again, `TRIED_AGAIN`
    times running. The waits double from the first to the longest, once for each round over all addresses, and are shortened by up
    to half at random.
    """

    def __init__(self, addresses: int, first_ms: int, longest_ms: int, random: Random) -> None:
        self._addresses = addresses
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._random = random
        self._failures = 0
        self._ended = 0
        """Connections that the present address has ended, one after the other."""
        self.address = 0
        """The place of the address to try now."""

    @property
    def has_others(self) -> bool:
        """True if there is another address."""
        return self._addresses > 1

    def turn(self, *, held: bool, closed: bool = False) -> int:
        """Choose the next address, after a connection that `held` for some time or did not; returns the wait in ms.

        `closed`: the other side ended it. A member of a cluster may do so with all its clients, and a second later again, when it
        has lost another member: it is there, and the next address may be the lost one's.
        """
        self._failures = 1 if held else self._failures + 1
        self._ended = self._ended + 1 if closed and not held else int(closed)
        if not 1 <= self._ended <= TRIED_AGAIN:
            self._ended = 0
            self.address = (self.address + 1) % self._addresses
        rounds = (self._failures - 1) // self._addresses
        longest_ms = min(self._first_ms << min(rounds, _MOST_DOUBLINGS), self._longest_ms)
        return self._random.randint(longest_ms // 2, longest_ms)
