"""Connections to a database that may have a standby: `postgresql://user:secret@one:5432,two:5432/tapwire`.

The hosts are tried in order, each with its own timeout: asyncpg's timeout covers all of them together, so a dead first host
would hide the one that took over. Of several hosts only one that accepts writes is used.

Dead peers are detected by keepalives. TCP alone notices a dead machine after a quarter of an hour when something is sent to it, and
after hours otherwise: workers would wait for a dead database, and rows stay locked for dead workers.
"""

import socket
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

CONNECT_TIMEOUT_S: Final = 5.0
"""Timeout of connecting to one host."""
COMMAND_TIMEOUT_S: Final = 30.0
"""Timeout of one statement."""
KEEPALIVE_IDLE_S: Final = 10
"""Idle time before the first keepalive probe."""
KEEPALIVE_INTERVAL_S: Final = 5
KEEPALIVE_PROBES: Final = 3
TCP_USER_TIMEOUT_MS: Final = 15_000
"""Time without acknowledgement of sent data after which the peer counts as dead."""
IDLE_IN_TRANSACTION_MS: Final = 30_000
"""Idle time after which the server ends a transaction: its client is dead, or frozen with rows locked."""
SERVER_SETTINGS: Final = {
    "tcp_keepalives_idle": str(KEEPALIVE_IDLE_S),
    "tcp_keepalives_interval": str(KEEPALIVE_INTERVAL_S),
    "tcp_keepalives_count": str(KEEPALIVE_PROBES),
    "tcp_user_timeout": str(TCP_USER_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
}
SOCKET_OPTIONS: Final = {
    "TCP_KEEPIDLE": KEEPALIVE_IDLE_S,
    "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_S,
    "TCP_KEEPCNT": KEEPALIVE_PROBES,
    "TCP_USER_TIMEOUT": TCP_USER_TIMEOUT_MS,
}
"""The same settings for the client's socket, where the operating system has them."""
WRITABLE: Final = "read-write"
HOST_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""Errors of a host that is unreachable, starting, stopping, or a standby; any other error holds for all hosts."""


async def connect(url: str, **options: Any) -> asyncpg.Connection:
    """Connect to the first usable host; raises the last host's error."""
    *others, last = hosts_of(url)
    if others and "target_session_attrs" not in parse_qs(urlsplit(url).query):
        options["target_session_attrs"] = WRITABLE
    for host in others:
        try:
            return await _connect_to(host, options)
        except HOST_ERRORS:
            continue
    return await _connect_to(last, options)


async def _connect_to(host: str, options: dict[str, Any]) -> asyncpg.Connection:
    given = {"command_timeout": COMMAND_TIMEOUT_S, "server_settings": SERVER_SETTINGS} | options
    connection = await asyncpg.connect(host, timeout=CONNECT_TIMEOUT_S, **given)
    _enable_keepalive(connection._transport.get_extra_info("socket"))  # asyncpg has no option for it
    return connection


def _enable_keepalive(connected: socket.socket) -> None:
    if connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in SOCKET_OPTIONS.items():
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def hosts_of(url: str) -> list[str]:
    """The URL of each of its hosts."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{login}{at}{host}").geturl() for host in hosts.split(",")]
