"""A worker's part of webhooks: making events and sending them, each over its own connection.

No transaction is open during a request, and endpoints share no resource that one could exhaust: each has its own limit of
concurrent deliveries, and names are resolved in threads of their own. Each attempt resolves the host, checks the address and
connects to that very address, so a name that changes in between can't redirect it.
"""

import asyncio
import logging
import random
import socket
from collections import Counter as Tally
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Final
from uuid import UUID

import httpx

from tapwire_contracts.tasks import run_together
from tapwire_core import SOFTWARE
from tapwire_core.db.engine import Database
from tapwire_core.db.writes.webhook_deliveries import AttemptResult, LeasedDelivery
from tapwire_core.domain.webhooks import Address, AddressRefused, WebhookLimits, check_address, check_url, sign_with_all
from tapwire_core.monitoring.metrics import WebhookMetrics
from tapwire_core.services.webhook_deliveries import EventWriter, lease_due_deliveries, note_delivered, note_failed, replay_some
from tapwire_core.worker.periodic import survive

log: Final = logging.getLogger(__name__)

POLL_INTERVAL_S: Final = 1.0
"""Interval between two polls for new audit entries and due deliveries."""
MAX_ANSWER_BYTES: Final = 500
"""The part of an answer that is read and stored, in bytes."""
ADDRESSES_TRIED: Final = 3
NAME_THREADS: Final = 64
NOT_SENT: Final = (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError, AddressRefused)
"""Errors that sending may raise."""


@dataclass(slots=True)
class WebhookSender:
    """A worker's part of sending webhooks."""

    db: Database
    metrics: WebhookMetrics = field(default_factory=WebhookMetrics)
    poll_interval_s: float = POLL_INTERVAL_S
    _busy: "Tally[UUID]" = field(default_factory=Tally)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _names: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(NAME_THREADS, "webhook-names"))

    async def run(self) -> None:
        """Make and send events; ends only by cancellation. A failure here does not stop the worker from serving cards."""
        try:
            while True:
                try:
                    await self._work()
                except Exception:
                    log.exception("webhooks failed; retrying")
                await asyncio.sleep(self.poll_interval_s)
        finally:
            self._names.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        async with _client() as client:
            await run_together(self._make_events(EventWriter(self.db)), self._replay(), self._send_due(client))

    async def _make_events(self, writer: EventWriter) -> None:
        while True:
            if not await survive(writer.write_events):
                self._woken.set()
                await asyncio.sleep(self.poll_interval_s)

    async def _replay(self) -> None:
        while True:
            if await survive(lambda: replay_some(self.db)):
                self._woken.set()
            else:
                await asyncio.sleep(self.poll_interval_s)

    async def _send_due(self, client: httpx.AsyncClient) -> None:
        async with asyncio.TaskGroup() as sending:
            while True:
                self._woken.clear()
                leased = await survive(lambda: lease_due_deliveries(self.db, dict(self._busy)))
                for delivery in leased or ():
                    self._busy[delivery.webhook_id] += 1
                    sending.create_task(self._send(client, delivery))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.poll_interval_s):
                        await self._woken.wait()

    async def _send(self, client: httpx.AsyncClient, delivery: LeasedDelivery) -> None:
        try:
            attempted = await self._attempt(client, delivery)
            arrived = attempted.error is None
            self.metrics.count(arrived=arrived)
            if arrived:
                await survive(lambda: note_delivered(self.db, delivery, attempted))
            else:
                log.info("webhook %s: %s, attempt %d", delivery.webhook_id, attempted.error, delivery.attempts)
                jitter = random.random()  # noqa: S311  jitter, not a secret
                await survive(lambda: note_failed(self.db, delivery, attempted, jitter))
        finally:
            self._busy[delivery.webhook_id] -= 1
            if not self._busy[delivery.webhook_id]:
                del self._busy[delivery.webhook_id]
            self._woken.set()

    async def _attempt(self, client: httpx.AsyncClient, delivery: LeasedDelivery) -> AttemptResult:
        limits = self.db.policy.webhooks
        clock = asyncio.get_running_loop().time
        began, status, answer, error = clock(), None, None, None
        try:
            async with asyncio.timeout(limits.timeout_ms / 1000):
                status, answer = await self._post(client, delivery, limits)
            if not httpx.codes.is_success(status):
                error = f"The receiver answered {status}."
        except TimeoutError:
            error = f"No answer within {limits.timeout_ms} ms."
        except NOT_SENT as failure:
            error = (getattr(failure, "strerror", None) or str(failure) or type(failure).__name__)[:MAX_ANSWER_BYTES]
        return AttemptResult(answer_status=status, answer=answer, error=error, duration_ms=round((clock() - began) * 1000))

    async def _post(self, client: httpx.AsyncClient, delivery: LeasedDelivery, limits: WebhookLimits) -> tuple[int, str]:
        check_url(delivery.url, limits)
        url = httpx.URL(delivery.url)
        failed: httpx.TransportError | None = None
        for address in (await self._addresses(url, limits))[:ADDRESSES_TRIED]:
            request = client.build_request(
                "POST",
                url.copy_with(host=str(address)),
                content=delivery.payload.encode(),
                timeout=httpx.Timeout(limits.timeout_ms / 1000, connect=limits.timeout_ms / 1000 / 2),
                headers={"Host": url.netloc.decode("ascii"), **_headers(delivery)},
                extensions={"sni_hostname": url.host},
            )
            try:
                answer = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed = error
                continue
            try:
                return answer.status_code, await _beginning_of(answer)
            finally:
                await answer.aclose()
        raise failed or AddressRefused(f"{url.host} has no address.")

    async def _addresses(self, url: httpx.URL, limits: WebhookLimits) -> list[Address]:
        """Resolve a URL's host to the addresses that may be sent to; raises `AddressRefused` if there is none."""
        port = url.port or (443 if url.scheme == "https" else 80)
        look_up = asyncio.get_running_loop().run_in_executor(self._names, _look_up, url.host, port)
        refused: AddressRefused | None = None
        allowed: list[Address] = []
        for address in await look_up:
            try:
                check_address(address, is_encrypted=url.scheme == "https", limits=limits)
            except AddressRefused as error:
                refused = error
                continue
            allowed.append(address)
        if not allowed and refused is not None:
            raise refused
        return allowed


def _look_up(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(str(place[0]).partition("%")[0]) for *_, place in found))


def _headers(delivery: LeasedDelivery) -> dict[str, str]:
    secrets = [secret for secret in (delivery.secret, delivery.old_secret) if secret is not None]
    event_id = str(delivery.event_id)
    return {
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": SOFTWARE.replace(" ", "/"),
        "webhook-id": event_id,
        "webhook-timestamp": str(delivery.timestamp),
        "webhook-signature": sign_with_all(secrets, event_id, delivery.timestamp, delivery.payload),
    }


async def _beginning_of(answer: httpx.Response) -> str:
    """The first bytes of an answer's body, as text that the database can store."""
    body = b""
    async for part in answer.aiter_raw():
        body += part
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body[:MAX_ANSWER_BYTES].decode(errors="replace").replace("\0", "")


@asynccontextmanager
async def _client() -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client without kept connections, cookies and redirects: a connection must not serve another host at its address."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    async with httpx.AsyncClient(limits=limits, cookies=no_cookies, trust_env=False, follow_redirects=False) as client:
        yield client
