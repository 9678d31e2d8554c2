"""Devices' logins for a broker that asks, as the database has them now, and the end of connections whose login is no longer valid.

A broker may believe an answer for `CACHE_S`. So connections are closed at once, and again when no old answer can have let one in.
What is still to be closed stands in the database (`devices.closed_hash`): a restart forgets nothing. A member that does not answer
is tried again until it does, and holds up no other.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Never

import httpx

from tapwire_contracts.tasks import run_together
from tapwire_core.broker.login_rules import InvalidLogins, Logins, read_services
from tapwire_core.broker.management_api import TIMEOUT_S, ApiAddress, ManagementApi, NotClosed
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.db.views.devices import broker_logins, unclosed_logins
from tapwire_core.services.devices import record_closed

POLL_INTERVAL_S: Final = 1.0
CACHE_S: Final = 5.0
"""Longest time for which a broker may believe an answer: `auth_cache.cache_ttl` of RabbitMQ, `authorization.cache.ttl` of EMQX."""
SETTLED_AFTER_S: Final = CACHE_S + 2 * POLL_INTERVAL_S
AT_ONCE: Final = 8
"""Requests at a time to one member."""

log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Closing:
    """A device's connections that are to be closed since `since`; the members that did so at once, and after the cache ran out."""

    login: str
    since: float
    at_once: set[str] = field(default_factory=set)
    finally_: set[str] = field(default_factory=set)

    def is_due(self, address: ApiAddress, now: float, settled_s: float) -> bool:
        """Return True if a member must close them now."""
        if address.url in self.finally_:
            return False
        is_revoked = self.login == ""  # one with a new secret may be back with it, and is cut only twice
        return is_revoked or address.url not in self.at_once or now >= self.since + settled_s

    def record(self, address: ApiAddress, asked_at: float, settled_s: float) -> None:
        """Note that a member has closed them, when it was asked at that time."""
        self.at_once.add(address.url)
        if asked_at >= self.since + settled_s:
            self.finally_.add(address.url)


@dataclass(slots=True)
class LoginKeeper:
    """The logins in memory, and the connections that are to be closed."""

    db: Database
    services_file: Path
    api: ManagementApi
    addresses: Sequence[ApiAddress]
    settled_s: float = SETTLED_AFTER_S
    logins: Logins | None = None
    """None until the first read; kept while the database is away."""
    _closings: dict[str, _Closing] = field(default_factory=dict)
    _complaints: dict[str, str] = field(default_factory=dict)

    def known(self) -> Logins | None:
        """The logins as last read."""
        return self.logins

    async def keep(self, pause_s: float = POLL_INTERVAL_S) -> None:
        """Follow the database and close connections, also while one of them is away; ends only by cancellation."""
        await run_together(self._keep_reading(pause_s), *(self._keep_closing(address, pause_s) for address in self.addresses))

    async def read(self) -> None:
        """Read the logins and what is to be closed; raises `DatabaseUnavailable`, at first also `InvalidLogins` and `OSError`."""
        services = await self._read_services()
        with translate_database_errors():
            self.logins = Logins(await broker_logins(self.db), services)
            await self._record_closed()
            self._note(await unclosed_logins(self.db))

    async def _read_services(self) -> Mapping[str, str]:
        """The services' hashes; those of before while the file can't be read, as devices must go on to be revoked."""
        try:
            read = await asyncio.to_thread(read_services, self.services_file)
        except (InvalidLogins, OSError) as error:
            if self.logins is None:
                raise
            self._complain("services", str(error))
            return self.logins.services
        self._resolve("services")
        return read

    async def _keep_reading(self, pause_s: float) -> Never:
        while True:
            try:
                await self.read()
                self._resolve("logins")
            except (DatabaseUnavailable, InvalidLogins, OSError) as error:
                self._complain("logins", str(error))
            await asyncio.sleep(pause_s)

    def _note(self, unclosed: Mapping[str, str]) -> None:
        now = time.monotonic()
        for path in self._closings.keys() - unclosed.keys():
            del self._closings[path]
        for path, login in unclosed.items():
            if path not in self._closings or self._closings[path].login != login:
                self._closings[path] = _Closing(login, now)

    async def _record_closed(self) -> None:
        everywhere = {address.url for address in self.addresses}
        for path, closing in list(self._closings.items()):
            if closing.finally_ >= everywhere:
                await record_closed(self.db, path, closing.login)
                log.info("the connections of %s are closed", path)

    async def _keep_closing(self, address: ApiAddress, pause_s: float) -> Never:
        is_tried = False
        while True:
            try:
                await self._close_due(address)
                if not is_tried:  # a wrong certificate or account shows now, and not at the first revocation
                    await self.api.log_in(address)
                    log.info("%s lets connections be closed", address.url)
                    is_tried = True
                self._resolve(address.url)
            except NotClosed as error:
                self._complain(address.url, str(error))
            await asyncio.sleep(pause_s)

    async def _close_due(self, address: ApiAddress) -> None:
        """Close what is due at one member; raises `NotClosed` at the first failure: the member is away, the rest has to wait."""
        now = time.monotonic()
        due = [(path, closing) for path, closing in self._closings.items() if closing.is_due(address, now, self.settled_s)]
        for start in range(0, len(due), AT_ONCE):
            await asyncio.gather(*(self._close(address, *one) for one in due[start : start + AT_ONCE]))

    async def _close(self, address: ApiAddress, path: str, closing: _Closing) -> None:
        asked_at = time.monotonic()
        await self.api.close_connections(address, path)
        closing.record(address, asked_at, self.settled_s)

    def _complain(self, about: str, complaint: str) -> None:
        if self._complaints.get(about) != complaint:
            self._complaints[about] = complaint
            log.warning("%s; trying again", complaint)

    def _resolve(self, about: str) -> None:
        self._complaints.pop(about, None)


def api_client(ca_file: Path | None) -> httpx.AsyncClient:
    """The client for management APIs. It follows no redirect, which would take the secret elsewhere.

    `ca_file` is the trusted authority for `https://`; without it, the machine's own are trusted.
    """
    trust = ssl.create_default_context(cafile=ca_file)
    return httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, verify=trust)
