"""Closing a device's connection by the management API of a cluster's members: RabbitMQ's and EMQX's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import httpx

TIMEOUT_S: Final = 5.0
_PATHS: Final[Mapping[str, str]] = {"rabbitmq": "/api/connections/username/", "emqx": "/api/v5/clients/"}
"""Where a `DELETE` with a device's path ends its connections: by username, or by the client id, which is the same."""
_ACCOUNTS: Final[Mapping[str, str]] = {"rabbitmq": "/api/whoami", "emqx": "/api/v5/clients?limit=1"}
"""Where a `GET` is answered to an account that may use the API, and changes nothing."""
CLOSED: Final = frozenset((httpx.codes.OK, httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND))
"""EMQX answers 404 where there is no such client, RabbitMQ 204."""
ALLOWED: Final = frozenset((httpx.codes.OK,))


class BrokerKind(StrEnum):
    """Brokers that ask over HTTP, by the shape in which they do."""

    RABBITMQ = "rabbitmq"
    EMQX = "emqx"


class InvalidApiUrl(ValueError):
    """The text is not `http(s)://NAME:SECRET@HOST:PORT`, or several of them; it never names the secret in it."""


class NotClosed(Exception):
    """A member did not close a connection; the text says why, without a secret."""


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """One member's management API, and the account there."""

    url: str
    username: str
    secret: str = field(repr=False)


def read_api_addresses(text: str) -> tuple[ApiAddress, ...]:
    """The addresses of the members, separated by commas; raises `InvalidApiUrl`."""
    return tuple(_read_address(part.strip()) for part in text.split(","))


def _read_address(text: str) -> ApiAddress:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidApiUrl("an address of the management API has no valid host and port") from error
    if parts.scheme not in ("http", "https") or not host or not port or not parts.username or not parts.password:
        raise InvalidApiUrl("write http://NAME:SECRET@HOST:PORT or https://…; several are separated by commas")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidApiUrl("an address of the management API ends with its port")
    named = f"[{host}]" if ":" in host else host
    return ApiAddress(f"{parts.scheme}://{named}:{port}", unquote(parts.username), unquote(parts.password))


@dataclass(frozen=True, slots=True)
class ManagementApi:
    """The management API of a broker of this kind, at any member."""

    kind: BrokerKind
    client: httpx.AsyncClient

    async def close_connections(self, address: ApiAddress, device: str) -> None:
        """End all connections of a device, wherever in the cluster; raises `NotClosed`. Without one nothing is to be done."""
        await self._ask(address, "DELETE", f"{_PATHS[self.kind]}{quote(device, safe='')}", CLOSED)

    async def log_in(self, address: ApiAddress) -> None:
        """Try address, certificate and account without closing anything; raises `NotClosed`."""
        await self._ask(address, "GET", _ACCOUNTS[self.kind], ALLOWED)

    async def _ask(self, address: ApiAddress, method: str, path: str, wanted: frozenset[int]) -> None:
        account, reason = (address.username, address.secret), {"X-Reason": "the device's credentials have changed"}
        try:
            answered = await self.client.request(method, f"{address.url}{path}", auth=account, headers=reason)
        except httpx.HTTPError as error:
            raise NotClosed(f"{address.url} does not answer: {error or type(error).__name__}") from None
        if answered.status_code not in wanted:
            raise NotClosed(f"{address.url} answers {answered.status_code} and closes no connection")
