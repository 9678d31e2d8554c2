"""Connections to a database that may have a standby: `postgresql://user:secret@one:5432,two:5432/tapwire`.

The hosts are tried one by one, each with its own timeout: asyncpg's timeout covers all of them together, so a dead first host
would hide the one that took over. Of several hosts only one that accepts writes is used; the last one that did is tried first,
and last while no host does.

A former primary may be frozen, or behind a broken network: what waits for it would wait for half a minute. So one connection looks
after the primary (`follow_primary`), and as soon as another host accepts writes, all connections to the former one are ended.

Dead peers are detected by keepalives. TCP alone notices a dead machine after a quarter of an hour when something is sent to it, and
after hours otherwise: workers would wait for a dead database, and rows stay locked for dead workers.
"""

import asyncio
import socket
import time
from typing import Any, Final, Never
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

import asyncpg

CONNECT_TIMEOUT_S: Final = 5.0
"""Timeout of connecting to the only host."""
CONNECT_TO_EACH_TIMEOUT_S: Final = 2.0
"""Timeout of connecting to one of several hosts."""
TRY_AGAIN_S: Final = 0.5
"""While no host is usable: pause between two tries, for all of this program together."""
FOLLOW_S: Final = 1.0
"""Pause between two looks at the primary."""
FOLLOW_TIMEOUT_S: Final = 2.0
"""Time after which a primary that does not answer may have been replaced."""
COMMAND_TIMEOUT_S: Final = 30.0
"""Timeout of one statement."""
KEEPALIVE_IDLE_S: Final = 3
"""Idle time before the first keepalive probe."""
KEEPALIVE_INTERVAL_S: Final = 2
KEEPALIVE_PROBES: Final = 2
TCP_USER_TIMEOUT_MS: Final = 6_000
"""Time without acknowledgement of sent data after which the peer counts as dead."""
IDLE_IN_TRANSACTION_MS: Final = 30_000
"""Idle time after which the server ends a transaction: its client is dead, or frozen. A use case has less (`db.engine`)."""
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
CLIENT_ERRORS: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError)
"""asyncpg's own errors of a connection that is gone; the second kind when the server has just said that it ends it."""
HOST_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    *CLIENT_ERRORS,
)
"""Errors of a host that is unreachable, starting or stopping; any other error but a refused login holds for all hosts."""
LOGIN_REFUSED: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""A wrong password, an unknown user or an unknown database; a standby that is behind may not know them yet."""


async def connect(url: str, **options: Any) -> asyncpg.Connection:
    """Connect to the first usable host; raises a refused login, else the last host's error.

    That no host accepts writes is a `ConnectionError`: a standby is about to take over.
    """
    hosts = hosts_of(url)
    if len(hosts) == 1:
        return await _connect_to(url, options, CONNECT_TIMEOUT_S)
    wants_primary = parse_qs(urlsplit(url).query).get("target_session_attrs", [WRITABLE]) == [WRITABLE]
    if wants_primary:
        options["target_session_attrs"] = WRITABLE
        # the last primary first; last while none is found, as it may swallow each try and keep the next primary waiting
        hosts.sort(key=lambda host: (host != _primaries.get(url)) != (url in _unreached))
    _take_turn(url)
    refusal: Exception | None = None
    for host in hosts:
        try:
            connection = await _connect_to(host, options, CONNECT_TO_EACH_TIMEOUT_S)
        except LOGIN_REFUSED as error:
            refusal = error
        except asyncpg.TargetServerAttributeNotMatched as error:
            failure: Exception = ConnectionError(str(error))
        except HOST_ERRORS as error:
            failure = error
        else:
            _unreached.pop(url, None)
            if wants_primary:
                _note_primary(url, host, connection)
            return connection
    if refusal is not None:
        _unreached.pop(url, None)
        raise refusal
    _unreached[url] = (str(failure) or repr(failure), time.monotonic())
    raise failure


def _take_turn(url: str) -> None:
    """Raise the last failure of a URL whose hosts were tried just now: everybody at once would keep them from taking over."""
    if url in _unreached:
        failure, tried_s = _unreached[url]
        if time.monotonic() - tried_s < TRY_AGAIN_S:
            raise ConnectionError(failure)
        _unreached[url] = failure, time.monotonic()


_unreached: Final[dict[str, tuple[str, float]]] = {}
"""For each URL of which no host was usable the last failure, and the monotonic time of the last try."""
_primaries: Final[dict[str, str]] = {}
"""For each URL the host that accepted writes last."""
_connections: Final[WeakKeyDictionary[asyncpg.Connection, tuple[str, str]]] = WeakKeyDictionary()
"""The URL and the host of each connection to a primary."""


def _note_primary(url: str, host: str, connection: asyncpg.Connection) -> None:
    """Remember the primary, and end the connections to a former one: there is only one at a time."""
    _connections[connection] = url, host
    if _primaries.get(url) != host:
        _primaries[url] = host
        for other, place in list(_connections.items()):
            if place[0] == url and place[1] != host:
                other.terminate()


async def follow_primary(url: str) -> Never:
    """Look at the primary again and again, and for the next one when it does not answer; ends only by cancellation."""
    while True:
        try:
            connection = await connect(url)
            try:
                while True:
                    await connection.execute("SELECT 1", timeout=FOLLOW_TIMEOUT_S)
                    await asyncio.sleep(FOLLOW_S)
            finally:
                connection.terminate()
        except (*HOST_ERRORS, asyncpg.PostgresError):
            await asyncio.sleep(FOLLOW_S)


async def _connect_to(host: str, options: dict[str, Any], timeout_s: float) -> asyncpg.Connection:
    given = {"command_timeout": COMMAND_TIMEOUT_S, "server_settings": SERVER_SETTINGS} | options
    connection = await asyncpg.connect(host, timeout=timeout_s, **given)
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
