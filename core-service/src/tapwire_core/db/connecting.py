"""Connecting to a database that may have a standby: `postgresql://user:secret@one:5432,two:5432/tapwire`.

The hosts are tried in their order, each for a bounded time: asyncpg's own timeout is for all of them together, so a machine without
power that stands first would hide the one that took over. Of several hosts only one that accepts writes is taken.
"""

from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

CONNECT_TIMEOUT_S: Final = 5.0
"""How long one host may take."""
WRITABLE: Final = "read-write"
NOT_THIS_HOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
)
"""What says that a host is away, is starting or stopping, or is a standby; anything else is true of all of them."""


async def connect(url: str, **options: Any) -> asyncpg.Connection:
    """Connect to the first host that will do; raises what the last one raised."""
    *others, last = hosts_of(url)
    if others and "target_session_attrs" not in parse_qs(urlsplit(url).query):
        options["target_session_attrs"] = WRITABLE
    for host in others:
        try:
            return await asyncpg.connect(host, timeout=CONNECT_TIMEOUT_S, **options)
        except NOT_THIS_HOST:
            continue
    return await asyncpg.connect(last, timeout=CONNECT_TIMEOUT_S, **options)


def hosts_of(url: str) -> list[str]:
    """The URL of each of its hosts."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{login}{at}{host}").geturl() for host in hosts.split(",")]
