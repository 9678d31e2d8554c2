"""Rules of webhooks: permitted URLs, signatures, retries with backoff, and switching endpoints off.

Pure. Signatures are those of Standard Webhooks, so that any library for it verifies them.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  the prefix of every secret, none itself
SECRET_BYTES: Final = 32
MAX_URL_LENGTH: Final = 2_000
FAILURES_BEFORE_PAUSE: Final = 3
"""Failures in a row after which an endpoint gets one delivery at a time, with growing pauses."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookLimits:
    """Limits of sending webhooks. `concurrency` is per worker and endpoint: endpoints never wait for each other."""

    private_targets: bool = False
    timeout_ms: int = 10_000
    concurrency: int = 4
    retry_first_ms: int = 5_000
    retry_most_ms: int = 3_600_000
    give_up_h: int = 72
    off_after_days: int = 5
    old_secret_h: int = 24


class DeliveryStatus(StrEnum):
    """States of a delivery; only `pending` ones are tried."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryCause(StrEnum):
    """Causes of a delivery: an event, a replay, or a test of the endpoint."""

    EVENT = "event"
    REPLAY = "replay"
    TEST = "test"


class OffReason(StrEnum):
    """Reasons for switching an endpoint off."""

    BY_HAND = "by_hand"
    FAILING = "failing"
    GONE = "gone"
    RESTORED = "restored"


class AddressRefused(Exception):
    """The URL or address is not permitted; the text says why."""


def sign(secret: str, event_id: str, timestamp: int, body: str) -> str:
    """The signature of a delivery by Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = hmac.digest(key, f"{event_id}.{timestamp}.{body}".encode(), hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def sign_with_all(secrets: Iterable[str], event_id: str, timestamp: int, body: str) -> str:
    """The signatures by each valid secret; a receiver looks for one that it can verify."""
    return " ".join(sign(secret, event_id, timestamp, body) for secret in secrets)


def backoff_ms(failures: int, jitter: float, limits: WebhookLimits) -> int:
    """Backoff after so many failures, in milliseconds: doubled each time, reduced by `jitter` (0 to 1) by up to a half."""
    doubled = limits.retry_first_ms << min(failures - 1, 30)
    return round(min(doubled, limits.retry_most_ms) * (1 - jitter / 2))


def pause_ms(failures: int, jitter: float, limits: WebhookLimits) -> int:
    """Pause of an endpoint after so many failures in a row, in milliseconds; 0 while one event may be at fault."""
    beyond = failures - FAILURES_BEFORE_PAUSE
    return backoff_ms(beyond + 1, jitter, limits) if beyond >= 0 else 0


def is_given_up(age: timedelta, limits: WebhookLimits) -> bool:
    """Return True for a delivery too old to retry."""
    return age >= timedelta(hours=limits.give_up_h)


def is_switched_off(failing_for: timedelta, limits: WebhookLimits) -> bool:
    """Return True for an endpoint that has failed long enough to switch it off."""
    return failing_for >= timedelta(days=limits.off_after_days)


def check_url(url: str, limits: WebhookLimits) -> None:
    """Raise `AddressRefused` for a URL that is not permitted; the address of its host is checked before each delivery."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressRefused("This is not a URL: write one such as https://example.com/tapwire.") from error
    if len(url) > MAX_URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        raise AddressRefused(f"A URL is at most {MAX_URL_LENGTH} characters of ASCII, without spaces.")
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise AddressRefused("The URL needs a scheme and a host: write one such as https://example.com/tapwire.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AddressRefused("The URL must hold no user name, password or fragment: deliveries are signed.")
    if parts.scheme == "http" and not limits.private_targets:
        raise AddressRefused("Use https: without it anybody on the network path can read the events.")
    address = _read_address(host)
    if host == "localhost" or host.endswith(".localhost"):
        address = IPv4Address("127.0.0.1")
    if address is not None:
        check_address(address, is_encrypted=parts.scheme == "https", limits=limits)


def check_address(address: Address, *, is_encrypted: bool, limits: WebhookLimits) -> None:
    """Raise `AddressRefused` for an address that is not permitted: neither global unicast nor of a private network."""
    for real in _targets_of(address):
        is_inside = _is_in(real, _INSIDE)
        if real in _METADATA or not (is_inside or _is_global_unicast(real)):
            raise AddressRefused(f"{address} can't be a receiver's address: it is reserved.")
        if is_inside and not limits.private_targets:
            raise AddressRefused(f"{address} is a private address: set TAPWIRE_WEBHOOK_PRIVATE_TARGETS to allow it.")
        if not is_inside and not is_encrypted:
            raise AddressRefused(f"{address} is a public address: use https.")


_METADATA: Final = frozenset(map(ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
"""Cloud metadata services, which hand out a machine's credentials."""
_INSIDE: Final = tuple(
    map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"))
)
"""Loopback and private networks."""
_GLOBAL_IPV6: Final = ip_network("2000::/3")
_RESERVED: Final = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
            *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            *("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20"),
        ),
    )
)
"""IANA's special-purpose networks (RFC 6890): a table of ours, since the interpreter's differs by version."""
_WRAPPERS: Final = tuple(map(ip_network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
"""IPv6 networks whose last 32 bits are an IPv4 address: compatible, mapped, translated, NAT64."""
_SIX_TO_FOUR: Final = ip_network("2002::/16")
_ISATAP: Final = 0x5EFE
_LOOPBACK: Final = ip_address("::1")
_LOW_32: Final = 0xFFFF_FFFF


def _is_global_unicast(address: Address) -> bool:
    return (address.version == 4 or address in _GLOBAL_IPV6) and not _is_in(address, _RESERVED)


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _targets_of(address: Address) -> tuple[Address, ...]:
    """The addresses that a packet for this one may reach: the IPv4 address inside an IPv6 address, or the address itself."""
    if isinstance(address, IPv4Address) or address == _LOOPBACK:
        return (address,)
    low = IPv4Address(int(address) & _LOW_32)
    if _is_in(address, _WRAPPERS):
        return (low,)
    if address in _SIX_TO_FOUR:
        return (IPv4Address(int(address) >> 80 & _LOW_32),)
    # the second bit of an ISATAP interface id says whether its IPv4 address is unique
    if int(address) >> 32 & 0xFDFF_FFFF == _ISATAP:
        return (address, low)
    return (address,)


def _read_address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
